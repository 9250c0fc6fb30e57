import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { endpoints } from '../test/document.ts'
import { hubLimits } from './live/hub.ts'
import { idempotencyLimits } from './routes/idempotency.ts'

const folder = join(import.meta.dirname, '..')
const readme = readFileSync(join(folder, 'README.md'), 'utf8')

test('the program in the README runs as it stands there, and ends by itself', async () => {
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code ?? '')
  expect(blocks).toHaveLength(1)
  for (const code of blocks) {
    const args = ['--conditions=@pintail/source', '--input-type=module-typescript', '-e', code]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, timeout: 100_000 })
    expect(stdout).toMatch(/status: 'ok'/)
    expect(stdout).toContain('live')
  }
}, 120_000)

test('the README names every option and every reason of the health', () => {
  const options = readFileSync(join(folder, 'src', 'options.ts'), 'utf8')
  const health = readFileSync(join(folder, 'src', 'routes', 'health.ts'), 'utf8')
  const reasons = /HealthReason = (.*)/.exec(health)?.[1]?.match(/\w+/g) ?? []
  const names = [...options.matchAll(/^ {2,6}readonly (\w+)\??: [^\n]*$/gm)].map(([, name]) => name ?? '')
  expect(reasons.length).toBeGreaterThan(4)
  expect(names).toContain('stopTimeoutMs')
  for (const name of [...names, ...reasons]) expect(readme).toContain(`\`${name}\``)
})

test('the README names every route, every word of a stream, and the limits as they are', () => {
  for (const { url } of endpoints) {
    const [, first = '', second] = url.split('/')
    expect([url, readme.includes(`/${second === undefined || second === ':id' ? first : second}`)]).toEqual([url, true])
  }
  for (const word of ['snapshot', 'stream.reset', 'stream.closed', 'too_slow', 'shutting_down', 'expired', 'unavailable'])
    expect(readme).toContain(`\`${word}\``)
  expect(readme).toContain(`${hubLimits.buffer / 1024 / 1024} MiB behind`)
  expect(readme).toContain(`${hubLimits.streams.toLocaleString('en').replace(',', ' ')} are taken`)
  expect(readme).toContain(`${idempotencyLimits.entries.toLocaleString('en').replace(',', ' ')} answers`)
})
