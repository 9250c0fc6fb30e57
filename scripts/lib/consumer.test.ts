import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { checkImport, checkRequire, ownErrors } from './consumer.ts'

// Small packages stand for ours: each does one thing that importing must not do.
const folder = mkdtempSync(join(tmpdir(), 'pintail-consumer-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function install(name: string, code: string): string {
  const dir = join(folder, 'node_modules', name)
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ name, type: 'module', exports: './index.js' }))
  writeFileSync(join(dir, 'index.js'), code)
  return name
}

test('a package that only exports passes', async () => {
  expect(await checkImport(folder, install('quiet', 'export const a = 1'))).toEqual({ ok: true, note: '1 exports' })
})

test.for([
  ['a timer', 'setInterval(() => {}, 1000).unref()', '+ started Timeout'],
  ['a socket', `import net from 'node:net'; net.createServer().listen(0).unref()`, '+ started TCPSERVERWRAP'],
  ['a process', `import { execFile } from 'node:child_process'; execFile('true')`, '+ started PROCESSWRAP'],
  ['a global', 'globalThis.pintail = 1', '+ global pintail'],
  ['a listener on the process', `process.on('uncaughtException', () => {})`, '+ listeners of uncaughtException: 1'],
  ['a change of the environment', `process.env.LANG = 'C-x'`, '+ environment LANG=C-x'],
  ['a fault', `throw new Error('oops')`, 'oops'],
] as const)('importing must not bring %s', async ([what, code, problem]) => {
  const finding = await checkImport(folder, install(what.replaceAll(' ', '-'), code))
  expect(finding).toMatchObject({ ok: false, problem: expect.stringContaining(problem) })
})

test('top-level await is found, because require() refuses it', async () => {
  expect(await checkRequire(folder, [install('plain', 'export const a = 1')])).toEqual({ ok: true })
  const finding = await checkRequire(folder, [install('waits', 'export const a = await 1')])
  expect(finding).toMatchObject({ ok: false, problem: expect.stringContaining('ERR_REQUIRE_ASYNC_MODULE') })
})

test('errors in declarations of other packages are theirs; all others stay, with what belongs to them', () => {
  const foreign = "node_modules/@nats-io/nats-core/lib/msg.d.ts(3,22): error TS2420: Class 'MsgImpl' is wrong.\n  Because.\n    Truly."
  const ours = "node_modules/@pintail/adapters/dist/nats/mover.d.ts(1,2): error TS2307: Cannot find module 'gone'.\n  Look there."
  const use = "consumer.ts(4,1): error TS2308: Module 'x' has already exported 'y'."
  const whole = "error TS5023: Unknown compiler option 'z'."
  expect(ownErrors(`${foreign}\n`)).toBe('')
  expect(ownErrors(`${foreign}\n${ours}\n${use}\n${foreign}\n${whole}\n`)).toBe([ours, use, whole].join('\n'))
})
