import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hasNats, needsNats, startNats } from '../test/nats.ts'
import { deskOn, fakeServers } from '../test/region.ts'
import { runRegionWorker } from './nats/index.ts'
import { createDatabaseService } from './vpn-duck/testing/index.ts'

const folder = join(import.meta.dirname, '..')
const readme = readFileSync(join(folder, 'README.md'), 'utf8')

/** Says, beside what the program says, that a signal would end it in good order: it may say what is waited for before that. */
const hears = `data:text/javascript,${encodeURIComponent(
  "process.on('newListener', (name) => name === 'SIGTERM' && setImmediate(() => console.log('SIGTERM is heard')))",
)}`
const argsOf = (code: string): string[] => ['--conditions=@pintail/source', '--import', hears, '--input-type=module-typescript', '-e', code]

/** The programs below a heading, as they stand there. */
function programs(heading: string): string[] {
  const [, section = ''] = new RegExp(`^## ${heading}\n(.*?)(?=^## |$(?![\\s\\S]))`, 'ms').exec(readme) ?? []
  return [...section.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code ?? '')
}

test('the program for VPN Duck runs as it stands there, and SIGTERM ends it', async () => {
  const [code = '', ...more] = programs('vpn-duck')
  expect(more).toEqual([])
  await using service = createDatabaseService({ dialect: 'v2', users: 3 })
  const env = { ...process.env, DATABASE_SERVICE_URL: await service.listen() }
  const program = spawn(process.execPath, argsOf(code), { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [program.stdout, program.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  const ended = once(program, 'close')
  await expect.poll(() => output, { timeout: 100_000, interval: 50 }).toMatch(/speaks v2/)
  await expect.poll(() => output, { timeout: 100_000, interval: 50 }).toMatch(/SIGTERM is heard/)
  program.kill('SIGTERM')
  expect(await ended, output).toEqual([0, null])
  expect(output).not.toMatch(/[Ee]rror/)
}, 120_000)

test.skipIf(!hasNats)(
  `the program of a region's worker runs as it stands there, and SIGTERM ends it ${needsNats}`,
  async () => {
    const [code = '', ...more] = programs('regions')
    expect(more).toEqual([])
    await using server = await startNats()
    const env = { ...process.env, NATS_URL: server.url, WORKER_BOOK: join(server.folder, 'book.db') }
    const program = spawn(process.execPath, argsOf(code), { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [program.stdout, program.stderr])
      stream.on('data', (chunk) => {
        output += chunk
      })
    const ended = once(program, 'close')
    await expect.poll(() => output, { timeout: 100_000, interval: 50 }).toMatch(/working: worker-de/)
    const desk = await deskOn(await server.connect())
    expect(await desk.ask({})).toMatchObject({ status: 'ok' })
    await expect.poll(() => output, { timeout: 100_000, interval: 50 }).toMatch(/SIGTERM is heard/)
    program.kill('SIGTERM')
    expect(await ended, output).toEqual([0, null])
    expect(output).toMatch(/grant c1 on de-1/)
  },
  120_000,
)

test.skipIf(!hasNats)(
  `the program of the books and their mover runs as it stands there, and SIGTERM ends it ${needsNats}`,
  async () => {
    const [code = '', ...more] = programs('access')
    expect(more).toEqual([])
    await using server = await startNats()
    const nats = await server.connect()
    const handler = fakeServers()
    await using worker = await runRegionWorker({ nats, region: 'de', handler })
    const env = { ...process.env, NATS_URL: server.url }
    const program = spawn(process.execPath, argsOf(code), { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [program.stdout, program.stderr])
      stream.on('data', (chunk) => {
        output += chunk
      })
    const ended = once(program, 'close')
    await expect.poll(() => output, { timeout: 100_000, interval: 50 }).toMatch(/de-1 is synced: applied/)
    expect(output).toMatch(/de-1: 1 missing, 0 changed, 0 too many/)
    expect([...handler.granted.keys()]).toEqual(['de-1/c1'])
    expect(worker.figures().driftMissing).toBe(1)
    await expect.poll(() => output, { timeout: 100_000, interval: 50 }).toMatch(/SIGTERM is heard/)
    program.kill('SIGTERM')
    expect(await ended, output).toEqual([0, null])
  },
  120_000,
)

test('the README names every option of the mover', () => {
  const options = readFileSync(join(folder, 'src', 'regions', 'moverOptions.ts'), 'utf8')
  const [, main = ''] = /export interface RegionMoverOptions \{(.*?)^\}/ms.exec(options) ?? []
  const names = [...main.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name ?? '')
  expect(names).toContain('syncEveryMs')
  const [section = ''] = /^## access\n.*?(?=^## )/ms.exec(readme) ?? []
  for (const name of names.filter((one) => !['clock', 'random', 'logger'].includes(one)))
    expect(section).toMatch(new RegExp(`\\b${name}\\b`))
})

test('the README names every option of vpnDuck', () => {
  const options = readFileSync(join(folder, 'src', 'vpn-duck', 'options.ts'), 'utf8')
  const [, main = ''] = /export interface VpnDuckOptions \{(.*?)^\}/ms.exec(options) ?? []
  const names = [...main.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name ?? '')
  expect(names).toContain('wireguard')
  // What is the same in every adapter is in the types only.
  const common = ['logger', 'clock', 'random', 'headers', 'tries', 'backoffMs', 'concurrency', 'rate']
  for (const name of names.filter((one) => !common.includes(one))) expect(readme).toMatch(new RegExp(`\\b${name}\\b`))
})

test('the README names every option of wireguardProber but the clock, and says how to register the probe', () => {
  const options = readFileSync(join(folder, 'src', 'wireguard', 'options.ts'), 'utf8')
  const [, main = ''] = /export interface WireguardProberOptions \{(.*?)^\}/ms.exec(options) ?? []
  const names = [...main.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name ?? '')
  expect(names).toContain('privateKey')
  const [section = ''] = /^## wireguard\n.*?(?=^## )/ms.exec(readme) ?? []
  for (const name of names.filter((one) => one !== 'clock')) expect(section).toContain(`\`${name}`)
  expect(section).toContain('allowed-ips ""')
})
