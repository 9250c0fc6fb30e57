// The packed `pintail` command: its version, one look at this machine, and one dead server of a VPN Duck, against the
// stand-in of the packed adapters. A process like any other: found in node_modules/.bin, ended with SIGTERM.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createDatabaseService } from '@pintail/adapters/vpn-duck/testing'

const run = promisify(execFile)
const bin = join(import.meta.dirname, 'node_modules', '.bin', 'pintail')
// This Node before the machine's: the command begins with `#!/usr/bin/env node`.
const env = { PATH: `${join(process.execPath, '..')}:${process.env.PATH}` }
const manifest = createRequire(import.meta.url)('@pintail/service/package.json')

async function until(holds, what, withinMs = 30_000) {
  const end = performance.now() + withinMs
  while (!(await holds())) {
    assert.ok(performance.now() < end, `in vain: ${what}`)
    await wait(50)
  }
}

// ------------------------------------------------------------------------------------------------------------ commands

assert.equal((await run(bin, ['--version'], { env })).stdout, `${manifest.version}\n`)
assert.match((await run(bin, ['--help'], { env })).stdout, /pintail check/)
const refused = await run(bin, ['serve'], { env: { ...env, CHECK_INTERVAL: '3s' } }).catch((error) => error)
assert.equal(refused.code, 1)
assert.match(refused.stderr, /CHECK_INTERVAL[\s\S]*give seconds as a plain number: 3/)

// ------------------------------------------------------------------------------------------------- a VPN Duck to look at

const listeners = new Map()
async function open(id, port) {
  const listener = createServer((socket) => socket.destroy())
  listener.listen(port, `127.0.0.${10 + id}`)
  await once(listener, 'listening')
  listeners.set(id, listener)
  return listener.address().port
}
const users = Array.from({ length: 30 }, (_, index) => ({ id: 1001 + index, server: 2 }))
const database = createDatabaseService({ dialect: 'v1', servers: 4, users })
const url = await database.listen()
const port = await open(1, 0)
for (const id of [2, 3, 4]) await open(id, port)

const look = await run(bin, ['check', '--no-icmp', '--tcp', String(port), '127.0.0.11', '127.0.0.12'], { env })
assert.match(look.stdout, /^127\.0\.0\.12 +up /m)
const pinged = await run(bin, ['check', '127.0.0.1'], { env }).catch((error) => error)
// Where ping is not there, or may not be used, it has to say so and what to do.
if (pinged.code) assert.match(pinged.stdout, /could not try[\s\S]*icmp: /)
else assert.match(pinged.stdout, /^127\.0\.0\.1 +up /m)

// --------------------------------------------------------------------------------------------------------------- serve

const service = spawn(bin, ['serve'], {
  env: {
    ...env,
    STATE_DIRECTORY: process.cwd(),
    DATABASE_SERVICE_URL: url,
    STARTUP_DELAY: '0',
    CHECK_INTERVAL: '1',
    PINTAIL_PROBER: 'tcp',
    PINTAIL_TCP_PORT: String(port),
    PINTAIL_PORT: '0',
    PINTAIL_API: 'open',
  },
  stdio: ['ignore', 'pipe', 'inherit'],
})
let log = ''
service.stdout.setEncoding('utf8').on('data', (chunk) => {
  log += chunk
})
const ended = once(service, 'exit')
try {
  await until(() => /health is at/.test(log), 'the address of the health')
  const address = /"address":"([^"]+)"/.exec(log)[1]
  await until(async () => (await (await fetch(`${address}/health`)).json()).servers.up === 4, 'four servers up')
  assert.match(log, /the dashboard is at .*\/api\/dashboard/)
  const page = await fetch(`${address}/api/dashboard`)
  assert.equal(page.status, 200)
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'self'/)
  const [, script] = (await page.text()).match(/src="([^"]+\.js)"/) ?? []
  assert.equal((await fetch(new URL(script, `${address}/api/dashboard`))).status, 200)
  assert.equal((await fetch(`${address}/api/servers`)).status, 200)
  const health = await run(bin, ['health', '--url', address], { env })
  assert.equal(health.stdout, 'ready: leading, mode auto\n')

  listeners.get(2).close()
  const on = (id) => users.filter((user) => database.homeOf(user.id) === id).length
  await until(() => on(2) === 0, 'nobody left on the dead server')
  assert.equal(on(1) + on(3) + on(4), users.length)
  assert.equal(database.tables.servers.get(2).status, 'inactive')

  service.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
  assert.match(log, /"msg":"stopped"/)
  // Without a setting its state is in a file, so that the packed store has found its thread.
  assert.match(log, /"msg":"the state is in [^"]+\.db:/)
  assert.match(
    (await run(bin, ['check', '--store'], { env: { ...env, STATE_DIRECTORY: process.cwd(), DATABASE_SERVICE_URL: url } })).stdout,
    /^store sqlite \S+ up/,
  )
  assert.doesNotMatch(log, /private_?key/i)
} catch (error) {
  console.error(log)
  service.kill('SIGKILL')
  throw error
} finally {
  for (const listener of listeners.values()) listener.close()
  await database.close()
}
