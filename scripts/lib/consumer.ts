import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Package, specifierOf } from './packages.ts'
import { run, runTool, toolPath } from './run.ts'
import type { Finding } from './steps.ts'

// A project of a user of ours, outside the workspace, with the packed tarballs installed.

/** The tarball of each package, and what a user has beside them. */
export type Ingredients = { tarballs: ReadonlyMap<string, string>; others: Readonly<Record<string, string>> }

export async function createConsumer(folder: string, { tarballs, others }: Ingredients): Promise<Finding> {
  await mkdir(folder, { recursive: true })
  const packed = Object.fromEntries([...tarballs].map(([name, path]) => [name, `file:${path}`]))
  await writeJson(join(folder, 'package.json'), {
    name: 'a-user-of-pintail',
    private: true,
    type: 'module',
    dependencies: { ...packed, ...others },
  })
  const { code, output } = await run('npm', ['install', '--no-audit', '--no-fund'], {
    cwd: folder,
    env: { PATH: toolPath() },
  })
  return code === 0 ? { ok: true } : { ok: false, problem: output }
}

/** Prints what importing brought into the process or took out of it, then leaves the process to end by itself. */
const importProgram = (specifier: string): string => `
import { createHook } from 'node:async_hooks'
// Some builtins (node:assert) touch these when they are imported: they are opened before anybody looks.
void [process.stdin, process.stdout, process.stderr]
// A hook sees timers and handles that are unref'd or closed again too.
const started = []
const kinds = /^(Timeout|TCP|UDP|PIPE|PROCESS|SIGNAL|FSEVENT|STATWATCHER|WORKER|GETADDRINFO)/
createHook({ init: (_, kind) => void (kinds.test(kind) && started.push(kind)) }).enable()
const state = () => [
  ...started.map((kind) => 'started ' + kind),
  // Dependencies keep things of theirs there: zod its configuration, lit its versions and, where there is no browser, a registry
  // of elements. We add nothing of our own.
  ...Object.getOwnPropertyNames(globalThis)
    .filter((name) => !/^(__zod_.*|lit(ServerRoot|PropertyMetadata|IssuedWarnings|(Html|Element)Versions)|reactiveElementVersions|customElements)$/.test(name))
    .map((name) => 'global ' + name),
  ...process.eventNames().map((name) => 'listeners of ' + String(name) + ': ' + process.listenerCount(name)),
  ...Object.entries(process.env).map(([name, value]) => 'environment ' + name + '=' + value),
]
const without = (some, others) => {
  const left = [...others]
  return some.filter((one) => !left.includes(one) || !left.splice(left.indexOf(one), 1))
}
const before = state()
const module = await import(${JSON.stringify(specifier)})
await new Promise((resolve) => setImmediate(resolve))
const after = state()
const changes = [...without(before, after).map((one) => '- ' + one), ...without(after, before).map((one) => '+ ' + one)]
console.log(JSON.stringify({ exports: Object.keys(module), changes }))
`

/** For what keeps a process alive: that does so for ever. */
const exitWithinMs = 60_000

/** Importing starts no timer and no handle, touches no global state, and lets the process end. */
export async function checkImport(folder: string, specifier: string): Promise<Finding> {
  const { code, output, timedOut } = await run(process.execPath, ['--input-type=module', '-e', importProgram(specifier)], {
    cwd: folder,
    timeoutMs: exitWithinMs,
  })
  if (timedOut) return { ok: false, problem: `the process did not end within ${exitWithinMs} ms:\n${output}` }
  if (code !== 0) return { ok: false, problem: output }
  const { exports, changes } = JSON.parse(output) as { exports: string[]; changes: string[] }
  if (changes.length > 0) return { ok: false, problem: ['importing changed the process:', ...changes].join('\n') }
  return { ok: true, note: `${exports.length} exports` }
}

/** Node 22.12 and later can require() what is ESM without top-level await. */
export async function checkRequire(folder: string, specifiers: readonly string[]): Promise<Finding> {
  const program = specifiers.map((specifier) => `require(${JSON.stringify(specifier)})`).join('\n')
  const { code, output } = await run(process.execPath, ['--input-type=commonjs', '-e', program], { cwd: folder })
  return code === 0 ? { ok: true } : { ok: false, problem: output }
}

/** Entries for browsers: their declarations name the DOM's types, which those of all others must do without. */
const isForBrowsers = (specifier: string): boolean => /^@pintail\/dashboard(\/define)?$/.test(specifier)

/** Our declarations are checked too, not only their use: skipLibCheck is off. */
export async function checkTypes(folder: string, specifiers: readonly string[]): Promise<Finding> {
  const browser = specifiers.filter(isForBrowsers)
  const found = await checkProgram(
    folder,
    'consumer',
    specifiers.filter((one) => !isForBrowsers(one)),
    [],
  )
  return found.ok && browser.length > 0 ? checkProgram(folder, 'page', browser, ['DOM', 'DOM.Iterable']) : found
}

async function checkProgram(folder: string, name: string, specifiers: readonly string[], lib: readonly string[]): Promise<Finding> {
  const lines = specifiers.map((specifier, index) => `export * as entry${index} from '${specifier}'`)
  await writeFile(join(folder, `${name}.ts`), `${lines.join('\n')}\n`)
  await writeJson(join(folder, `tsconfig.${name}.json`), {
    compilerOptions: {
      target: 'ES2024',
      lib: ['ES2024', 'ESNext.Disposable', ...lib],
      module: 'NodeNext',
      types: lib.length === 0 ? ['node'] : [],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: false,
    },
    files: [`${name}.ts`],
  })
  const { code, output } = await runTool('tsc', ['-p', join(folder, `tsconfig.${name}.json`)], { cwd: folder })
  const problem = code === 0 ? '' : ownErrors(output)
  return problem === '' ? { ok: true } : { ok: false, problem }
}

/**
 * What is wrong in declarations of other packages is theirs: nats-core's own contradict each other under
 * exactOptionalPropertyTypes. A use of them by ours that is wrong is an error in ours. Anything else that tsc says stays.
 */
export function ownErrors(output: string): string {
  const errors = output.split(/\n(?=\S)/)
  return errors
    .filter((error) => !/^node_modules\/(?!@pintail\/)[^(]+\.d\.ts\(\d+,\d+\): error /.test(error))
    .join('\n')
    .trim()
}

export const specifiersOf = (packages: readonly Package[]): string[] =>
  packages.flatMap(({ name, entries }) => entries.map(({ subpath }) => specifierOf(name, subpath)))

const writeJson = (path: string, value: unknown): Promise<void> => writeFile(path, `${JSON.stringify(value, null, 2)}\n`)
