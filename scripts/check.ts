// npm run check: every step runs, also after a failed one; exits 1 if any failed.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compareSnapshots } from './checks/api.ts'
import { checkAnnounced } from './checks/changesets.ts'
import { checkClientSize } from './checks/clientSize.ts'
import { checkDependencies, checkLineLimit, checkNoZodTypes } from './checks/core.ts'
import { checkDashboardSize } from './checks/dashboardSize.ts'
import { generateSnapshot, pendingChangesets, readSnapshot, snapshotPath, surfaceOf } from './checks/snapshots.ts'
import { buildPackage } from './lib/build.ts'
import { reachableFrom, readFrom } from './lib/declarations.ts'
import { inTemporaryFolder, packInto } from './lib/pack.ts'
import { fromRoot, type Package, publicPackages, root } from './lib/packages.ts'
import { writeReport } from './lib/report.ts'
import { runTool } from './lib/run.ts'
import { type Finding, runSteps, type Step } from './lib/steps.ts'

const importRules = ['style/noRestrictedImports', 'style/noRestrictedGlobals', 'suspicious/noImportCycles']

async function tool(name: string, args: readonly string[], remedy?: string): Promise<Finding> {
  const { code, output } = await runTool(name, args)
  if (code === 0) return { ok: true }
  return { ok: false, problem: output.trim() || `${name} ended with ${code}`, ...(remedy ? { remedy } : {}) }
}

/** Every package is looked at, also after a bad one. */
async function each(packages: readonly Package[], check: (one: Package) => Promise<Finding> | Finding): Promise<Finding> {
  const problems: string[] = []
  const remedies = new Set<string>()
  for (const one of packages) {
    const finding = await check(one)
    if (finding.ok) continue
    problems.push(`${one.name}: ${finding.problem}`)
    if (finding.remedy) remedies.add(finding.remedy)
  }
  if (problems.length === 0) return { ok: true, note: packages.map(({ name }) => name).join(', ') }
  const remedy = remedies.size > 0 ? { remedy: [...remedies].join('; ') } : {}
  return { ok: false, problem: problems.join('\n'), ...remedy }
}

function coreFiles(core: Package): Map<string, string> {
  const folder = join(core.dir, 'src')
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))
  return new Map(paths.sort().map((path) => [path, readFileSync(join(folder, path), 'utf8')]))
}

/** Looks at the tarball, because that is what others install. */
async function checkPacked(one: Package): Promise<Finding> {
  return inTemporaryFolder(async (folder) => {
    const tarball = await packInto(folder, one)
    const publint = await tool('publint', ['run', '--strict', tarball])
    if (!publint.ok) return publint
    return tool('attw', ['--profile', 'esm-only', '--no-definitely-typed', '--no-emoji', '--format', 'ascii', tarball])
  })
}

const packages = publicPackages()
const core = packages.find(({ name }) => name === '@pintail/core')
if (!core) throw new Error('packages/core is missing')
const client = packages.find(({ name }) => name === '@pintail/client')
if (!client) throw new Error('packages/client is missing')
const dashboard = packages.find(({ name }) => name === '@pintail/dashboard')
if (!dashboard) throw new Error('packages/dashboard is missing')

const steps: Step[] = [
  {
    name: 'lint and format',
    run: () =>
      tool('biome', ['check', '--error-on-warnings', '--max-diagnostics=20', '.'], 'npm run format mends what can be mended by itself'),
  },
  {
    name: 'import rules',
    run: () => tool('biome', ['lint', ...importRules.map((rule) => `--only=${rule}`), '--max-diagnostics=50', 'packages']),
  },
  { name: 'types', run: () => tool('tsc', ['-p', join(root, 'tsconfig.json')]) },
  // A program of its own: what is for browsers must not lend its globals to all the rest.
  { name: 'types of the dashboard', run: () => tool('tsc', ['-p', join(dashboard.dir, 'tsconfig.json')]) },
  { name: 'types of the embedding example', run: () => tool('tsc', ['-p', join(root, 'examples', 'dashboard-embed', 'tsconfig.json')]) },
  { name: 'unused code', run: () => tool('knip', ['--no-config-hints']) },
  { name: 'size of core', run: () => checkLineLimit(coreFiles(core)) },
  { name: 'dependencies of core', run: () => checkDependencies({ ...core.manifest }) },
  { name: 'build', run: () => each(packages, buildPackage) },
  { name: 'package exports', needs: 'build', run: () => each(packages, checkPacked) },
  { name: 'size of the client', needs: 'build', run: () => checkClientSize(client) },
  { name: 'size of the dashboard', needs: 'build', run: () => checkDashboardSize(dashboard) },
  {
    name: 'no zod in public types',
    needs: 'build',
    run: () =>
      checkNoZodTypes(
        reachableFrom(
          core.entries.map(({ types }) => types),
          readFrom(core.dir),
        ),
      ),
  },
  {
    name: 'API snapshots',
    needs: 'build',
    run: () => each(packages, (one) => compareSnapshots(fromRoot(snapshotPath(one)), generateSnapshot(one), readSnapshot(one))),
  },
  {
    name: 'API changes are announced',
    run: async () => checkAnnounced(await Promise.all(packages.map(surfaceOf)), pendingChangesets()),
  },
]

const tally = await runSteps(steps)
writeReport('check', tally)
process.exitCode = tally.failed === 0 ? 0 : 1
