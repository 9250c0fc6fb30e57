import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createDatabaseService } from './vpn-duck/testing/index.ts'

const folder = join(import.meta.dirname, '..')
const readme = readFileSync(join(folder, 'README.md'), 'utf8')

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
  const args = ['--conditions=@pintail/source', '--input-type=module-typescript', '-e', code]
  const program = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [program.stdout, program.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  const ended = once(program, 'exit')
  await expect.poll(() => output, { timeout: 20_000, interval: 50 }).toMatch(/speaks v2/)
  program.kill('SIGTERM')
  expect(await ended, output).toEqual([0, null])
  expect(output).not.toMatch(/[Ee]rror/)
}, 30_000)

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
