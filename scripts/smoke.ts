// npm run smoke: the packed tarballs, installed in a fresh project outside the workspace, work there.
// Each scripts/smoke/*.mjs is copied into that project and run there, so that its imports find the installed packages.
// It gets PINTAIL_ROOT, the repository, in its environment; its exit code is its verdict.

import { existsSync, readdirSync } from 'node:fs'
import { copyFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { buildPackage } from './lib/build.ts'
import { checkImport, checkRequire, checkTypes, createConsumer, specifiersOf } from './lib/consumer.ts'
import { inTemporaryFolder, packInto } from './lib/pack.ts'
import { publicPackages, readManifest, root } from './lib/packages.ts'
import { writeReport } from './lib/report.ts'
import { run, toolPath } from './lib/run.ts'
import { type Finding, runSteps, type Step } from './lib/steps.ts'

const packages = publicPackages()
const specifiers = specifiersOf(packages)

/** What the packages expect beside themselves (fastify, croner, …), in the versions that we test with ourselves. */
function versionsBeside(): Record<string, string> {
  const manifests = packages.map(({ manifest }) => manifest)
  const wanted = manifests.flatMap((manifest) => Object.keys(manifest.peerDependencies ?? {}).map((name) => ({ name, manifest })))
  const versions: Record<string, string> = {}
  for (const { name, manifest } of [...wanted, { name: '@types/node', manifest: readManifest(root) }]) {
    if (manifests.some((ours) => ours.name === name)) continue
    const version = manifest.devDependencies?.[name]
    if (version === undefined) throw new Error(`${manifest.name}: no devDependency says with which version of ${name} we test`)
    versions[name] = version
  }
  return versions
}

function scripts(): string[] {
  const folder = join(root, 'scripts', 'smoke')
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((file) => file.endsWith('.mjs'))
    .sort()
}

async function runScript(project: string, file: string): Promise<Finding> {
  await copyFile(join(root, 'scripts', 'smoke', file), join(project, file))
  const { code, output, timedOut } = await run(process.execPath, [file], {
    cwd: project,
    env: { PINTAIL_ROOT: root, PATH: toolPath() },
    timeoutMs: 120_000,
  })
  if (code === 0) return { ok: true }
  return { ok: false, problem: timedOut ? `did not end within two minutes\n${output}` : output }
}

const tally = await inTemporaryFolder(async (folder) => {
  const project = join(await realpath(folder), 'project')
  const tarballs = new Map<string, string>()
  const steps: Step[] = [
    ...packages.map(
      (one): Step => ({
        name: `pack ${one.name}`,
        run: async () => {
          const built = await buildPackage(one)
          if (!built.ok) return built
          tarballs.set(one.name, await packInto(folder, one))
          return { ok: true }
        },
      }),
    ),
    {
      name: 'install',
      run: () =>
        tarballs.size === packages.length
          ? createConsumer(project, { tarballs, others: versionsBeside() })
          : { ok: false, problem: 'not every package could be packed' },
    },
    ...specifiers.map(
      (specifier): Step => ({
        name: `import ${specifier}`,
        needs: 'install',
        run: () => checkImport(project, specifier),
      }),
    ),
    { name: 'require() of each entry', needs: 'install', run: () => checkRequire(project, specifiers) },
    { name: 'types of each entry', needs: 'install', run: () => checkTypes(project, specifiers) },
    ...scripts().map(
      (file): Step => ({
        name: `scripts/smoke/${file}`,
        needs: 'install',
        run: () => runScript(project, file),
      }),
    ),
  ]
  return runSteps(steps)
})

writeReport('smoke', tally)
process.exitCode = tally.failed === 0 ? 0 : 1
