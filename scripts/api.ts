// npm run api: writes packages/*/api.snapshot.d.ts, the public declarations of each package, anew.
import { writeFileSync } from 'node:fs'
import { generateSnapshot, snapshotPath } from './checks/snapshots.ts'
import { buildPackage } from './lib/build.ts'
import { fromRoot, publicPackages } from './lib/packages.ts'
import { runSteps } from './lib/steps.ts'

const tally = await runSteps(
  publicPackages().map((one) => ({
    name: fromRoot(snapshotPath(one)),
    run: async () => {
      const built = await buildPackage(one)
      if (built.ok) writeFileSync(snapshotPath(one), generateSnapshot(one))
      return built
    },
  })),
)
process.exitCode = tally.failed === 0 ? 0 : 1
