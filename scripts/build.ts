// npm run build: the JavaScript and the declarations of every public package.
import { buildPackage } from './lib/build.ts'
import { publicPackages } from './lib/packages.ts'
import { writeReport } from './lib/report.ts'
import { runSteps } from './lib/steps.ts'

const tally = await runSteps(publicPackages().map((one) => ({ name: `build ${one.name}`, run: () => buildPackage(one) })))
writeReport('build', { passed: tally.failed === 0 ? 1 : 0, failed: tally.failed === 0 ? 0 : 1, skipped: 0 })
process.exitCode = tally.failed === 0 ? 0 : 1
