// The three programs of the README, byte for byte, in a project of a user: type-checked against the packed
// declarations, then run. Around them stands only what a host has: its database, its accounts, its metrics.
// Without an argument: everything. With one: the process that runs that program, started by the former.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = process.env.PINTAIL_ROOT
const project = join(fileURLToPath(import.meta.url), '..')
const folderOf = (name) => join(project, 'readme', name)

// ------------------------------------------------------------------------------------------- what a host has, as types

const surroundings = {
  quick: {
    'host.d.ts': `
      declare global {
        /** Over a pool of pg: the rows, in the shape that the caller expects. */
        const db: { query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]> }
        const vpn: { grant(user: string, host: string, options: { key: string; signal: AbortSignal }): Promise<void> }
      }
      export {}`,
  },
  fastify: {
    'host.d.ts': `
      declare module 'fastify' {
        interface FastifyRequest {
          user: { readonly name: string; readonly role: 'user' | 'admin' }
        }
      }
      export {}`,
    'vpn.ts': `
      import { memoryMover, memoryRegistry } from '@pintail/core'
      export const registry = memoryRegistry({
        servers: [1, 2, 3].map((n) => ({ id: n, host: '127.0.0.' + n, capacity: 10 })),
        connections: { 1: [{ id: 'ann' }, { id: 'bob' }] },
      })
      export const mover = memoryMover(registry)`,
  },
  events: {
    'host.d.ts': `
      import type {} from '@pintail/fastify-plugin'
      import type { FastifyInstance } from 'fastify'
      declare global {
        const app: FastifyInstance
        const gauge: { set(labels: { serverId: string }, value: number): void }
        const hub: { cursor: number; publish(json: string): void }
        const signal: AbortSignal
      }
      export {}`,
  },
}

/** The program under its marker, exactly as it stands there. */
async function blockOf(name) {
  const readme = await readFile(join(root, 'README.md'), 'utf8')
  const found = [...readme.matchAll(new RegExp(`^<!-- block: ${name} -->\\n+\`\`\`ts\\n(.*?)^\`\`\`$`, 'gms'))]
  assert.equal(found.length, 1, `README.md must have one block marked "<!-- block: ${name} -->"`)
  return found[0][1]
}

async function compile(name) {
  const folder = folderOf(name)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  for (const [file, text] of Object.entries(surroundings[name])) await writeFile(join(folder, file), `${text.trim()}\n`)
  await writeFile(join(folder, 'block.ts'), await blockOf(name))
  const compilerOptions = {
    target: 'ES2024',
    lib: ['ES2024', 'ESNext.Disposable'],
    module: 'NodeNext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    rootDir: '.',
    outDir: 'out',
  }
  const files = ['block.ts', ...Object.keys(surroundings[name])]
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  const { code, output } = await run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', folder])
  assert.equal(code, 0, `the block ${name} does not compile:\n${output}`)
}

const importBlock = (name) => import(pathToFileURL(join(folderOf(name), 'out', 'block.js')).href)

// ------------------------------------------------------------------------------------------------------- the processes

function run(command, args, { env = {}, timeoutMs = 60_000 } = {}) {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 }
    execFile(command, args, options, (error, stdout, stderr) => {
      const why = error?.killed ? `did not end within ${timeoutMs} ms\n` : ''
      resolve({ code: error ? (error.code ?? 1) : 0, output: `${why}${stdout}${stderr}` })
    })
  })
}

/** Runs one of the programs below in a process of its own, which has to end by itself. */
async function play(program, env) {
  const { code, output } = await run(process.execPath, [fileURLToPath(import.meta.url), program], { env })
  assert.equal(code, 0, `${program}:\n${output}`)
}

async function until(holds, what) {
  const end = performance.now() + 30_000
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`never: ${what}`)
    await wait(20)
  }
}

// ------------------------------------------------------------------------------------------------------------ block 1

/** Rows, and what was asked of them. Answers the statements of the block and no other. */
function provider() {
  const servers = [1, 2, 3].map((id) => ({ id, host: `127.0.0.${id}`, region: 'eu', capacity: 10, status: 'online' }))
  const access = ['ann', 'bob', 'cem', 'dan'].map((user_id, index) => ({ user_id, region: 'eu', server_id: index < 2 ? 1 : index }))
  const written = []
  const grants = []
  const db = {
    async query(sql, values = []) {
      if (sql === 'select id, host, region, capacity from servers')
        return servers.map(({ id, host, region, capacity }) => ({ id, host, region, capacity }))
      if (sql === 'select user_id as id, region from access where server_id = $1')
        return access.filter((row) => String(row.server_id) === String(values[0])).map(({ user_id, region }) => ({ id: user_id, region }))
      assert.equal(sql, 'update servers set status = $2 where id = $1')
      written.push([String(values[0]), values[1]])
      return []
    },
  }
  const vpn = {
    async grant(user, host, { key, signal }) {
      assert.ok(key.includes(user) && signal instanceof AbortSignal)
      grants.push({ user, host, key })
      access.find((row) => row.user_id === user).server_id = servers.find((row) => row.host === host).id
    },
  }
  return { db, vpn, access, written, grants }
}

async function begin() {
  const world = provider()
  Object.assign(globalThis, { db: world.db, vpn: world.vpn })
  const { pintail } = await importBlock('quick')
  const warnings = []
  pintail.on('warning', (warning) => warnings.push(warning))
  await until(() => pintail.status().servers.length === 3, 'the servers of the database')
  return { ...world, pintail, warnings }
}

const programs = {
  /** With the ping of this machine: everybody is well, and nobody moves. */
  async 'quick with ping'() {
    const { pintail, warnings, written, grants } = await begin()
    await until(() => pintail.status().counts.up === 3, 'three servers that answer')
    assert.deepEqual(
      pintail.status().servers.map(({ serverId, host }) => [serverId, host]),
      [1, 2, 3].map((id) => [String(id), `127.0.0.${id}`]),
    )
    await pintail.stop()
    assert.deepEqual([warnings, written, grants], [[], [], []])
    assert.equal(pintail.status().state, 'stopped')
  },

  /** Without any ping the prober is the broken one: it is told, and no server counts as dead. */
  async 'quick without ping'() {
    const { pintail, warnings, written, grants } = await begin()
    await until(() => warnings.some(({ code }) => code === 'prober_unavailable'), 'a warning that there is no ping')
    const { remedy } = warnings.find(({ code }) => code === 'prober_unavailable')
    assert.match(remedy, /ping/)
    await wait(9000)
    assert.equal(pintail.status().counts.unknown, 3)
    await pintail.stop()
    assert.deepEqual([written, grants], [[], []])
  },

  /** With a ping of our own, which answers as that of the system does, and lets a server die and return. */
  async 'quick with an outage'() {
    const { pintail, access, written, grants } = await begin()
    await until(() => pintail.status().counts.up === 3, 'three servers that answer')
    await writeFile(process.env.DEAD_HOSTS, '127.0.0.1\n')
    await until(() => access.every(({ server_id }) => server_id !== 1), 'nobody on the dead server')
    assert.deepEqual(grants.map(({ user }) => user).sort(), ['ann', 'bob'])
    assert.equal(new Set(grants.map(({ key }) => key)).size, 2)
    await until(() => written.length > 0, 'the status of the dead server')
    assert.deepEqual(written, [['1', 'offline']])
    await writeFile(process.env.DEAD_HOSTS, '')
    await until(() => pintail.status().incidents.length === 0 && pintail.status().counts.up === 3, 'the recovery')
    await until(() => written.length > 1, 'the status of the recovered server')
    assert.deepEqual(written[1], ['1', 'online'])
    await pintail.stop()
  },

  // ---------------------------------------------------------------------------------------------------------- block 2

  async fastify() {
    const diagnostics = await import('node:diagnostics_channel')
    const { promise: made, resolve } = Promise.withResolvers()
    // Fastify tells of each new app: so the host's accounts come in without a change of the block.
    diagnostics.subscribe('fastify.initialization', ({ fastify }) => {
      fastify.decorateRequest('user')
      fastify.addHook('onRequest', async (request) => {
        request.user = { name: 'somebody', role: request.headers['x-role'] ?? 'user' }
      })
      // Where somebody else has port 3000, and only there, it is another one.
      const { listen } = fastify
      fastify.listen = async (options) => {
        assert.deepEqual(options, { port: 3000 })
        return listen.call(fastify, options).catch((error) => {
          if (error.code === 'EADDRINUSE') return listen.call(fastify, { port: 0 })
          throw error
        })
      }
      resolve(fastify)
    })
    await importBlock('fastify')
    const app = await made
    const address = `http://localhost:${app.server.address().port}`
    const ask = async (method, path, role) => {
      const answer = await fetch(address + path, { method, headers: { 'x-role': role, connection: 'close' } })
      return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.json() }
    }
    await until(async () => (await ask('GET', '/pintail/health', 'user')).body.state === 'leading', 'the health of a leader')
    const health = await ask('GET', '/pintail/health', 'user')
    assert.equal(health.status, 200)
    assert.equal(health.body.status, 'ok')
    await until(() => app.pintail.status().servers.length === 3, 'the servers of vpn.ts')
    assert.equal((await ask('GET', '/pintail/servers', 'user')).body.total, 3)
    assert.equal((await ask('POST', '/pintail/pause', 'user')).body.code, 'forbidden')
    assert.equal((await ask('POST', '/pintail/pause', 'admin')).body.pauses.length, 1)
    const events = await fetch(`${address}/pintail/events`, { headers: { 'x-role': 'user' } })
    const { value } = await events.body.pipeThrough(new TextDecoderStream()).getReader().read()
    assert.match(value, /^retry: \d+\n\n/)
    assert.equal(app.pintail.policy.get().policy.mode['server-down'], 'suggest')
    await app.close()
    assert.equal(app.pintail.status().state, 'stopped')
  },

  // ---------------------------------------------------------------------------------------------------------- block 3

  async events() {
    const [{ default: Fastify }, { default: plugin }, core] = await Promise.all(
      ['fastify', '@pintail/fastify-plugin', '@pintail/core'].map((installed) => import(installed)),
    )
    const registry = core.memoryRegistry({ servers: ['a', 'b', 'c'].map((id) => ({ id, host: '127.0.0.1', capacity: 10 })) })
    let dead = ''
    const prober = {
      name: 'world',
      async probe({ serverId, packets }) {
        const rttMs = serverId === dead ? [] : Array.from({ length: packets }, () => 1)
        return { sent: packets, received: rttMs.length, rttMs }
      },
    }
    const app = Fastify()
    await app.register(plugin, {
      registry,
      mover: core.memoryMover(registry),
      probers: [prober],
      policy: { detect: { checkIntervalMs: 50 } },
      authorize: 'host',
    })
    const gauges = []
    const published = []
    const stop = new AbortController()
    Object.assign(globalThis, {
      app,
      gauge: { set: (labels, value) => gauges.push([labels.serverId, value]) },
      hub: { cursor: 0, publish: (json) => published.push(JSON.parse(json)) },
      signal: stop.signal,
    })
    const ended = importBlock('events')
    await app.listen({ host: '127.0.0.1', port: 0 })
    await until(() => ['a', 'b', 'c'].every((id) => gauges.some(([server, value]) => server === id && value === 1)), 'a gauge of 1 each')
    await app.pintail.cordon('a')
    await until(() => published.some(({ type }) => type === 'server.cordoned'), 'the published cordon')
    dead = 'b'
    await until(() => gauges.some(([server, value]) => server === 'b' && value === 0), 'a gauge of 0 for the dead server')

    const cordoned = published.find(({ type }) => type === 'server.cordoned')
    assert.deepEqual(cordoned.data, { server_id: 'a' })
    assert.ok(Number.isInteger(cordoned.seq) && cordoned.seq > 0)
    assert.equal(new Date(cordoned.timestamp).toISOString(), cordoned.timestamp)
    assert.ok(published.some(({ type }) => type === 'server.verdict_changed'))
    // From the cursor on, without gaps.
    assert.deepEqual(
      published.map(({ seq }) => seq),
      published.map((_, index) => index + 1),
    )
    const wrong = published.flatMap((event) => keysOf(event)).filter((key) => !/^[a-z][a-z0-9_]*$/.test(key))
    assert.deepEqual(wrong, [])

    stop.abort()
    await ended
    await app.close()
  },
}

/** `values` of a reason keep the keys of whoever gave them. */
const keysOf = (value) =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([key, item]) => [...(Array.isArray(value) ? [] : [key]), ...(key === 'values' ? [] : keysOf(item))])

// --------------------------------------------------------------------------------------------------------- everything

/** Speaks iputils: one reply a packet, or none for the hosts that are listed as dead. */
const fakePing = `#!/bin/sh
count=1
while [ $# -gt 1 ]; do
  [ "$1" = -c ] && count=$2
  shift
done
echo "PING $1 ($1) 56(84) bytes of data."
if grep -qx "$1" "$DEAD_HOSTS"; then
  sleep 0.3
  echo; echo "--- $1 ping statistics ---"
  echo "$count packets transmitted, 0 received, 100% packet loss, time 0ms"
  exit 1
fi
seq=1
while [ $seq -le $count ]; do
  echo "64 bytes from $1: icmp_seq=$seq ttl=64 time=0.05 ms"
  seq=$((seq + 1))
done
echo; echo "--- $1 ping statistics ---"
echo "$count packets transmitted, $count received, 0% packet loss, time 0ms"
echo "rtt min/avg/max/mdev = 0.050/0.050/0.050/0.000 ms"
`

async function all() {
  for (const name of Object.keys(surroundings)) await compile(name)

  const bin = join(project, 'readme', 'bin')
  const deadHosts = join(bin, 'dead')
  const empty = join(project, 'readme', 'empty')
  await mkdir(bin, { recursive: true })
  await mkdir(empty, { recursive: true })
  await writeFile(join(bin, 'ping'), fakePing)
  await chmod(join(bin, 'ping'), 0o755)
  await writeFile(deadHosts, '')

  const pings = await run('ping', ['-n', '-c', '1', '127.0.0.2'], { timeoutMs: 5000 })
  if (pings.code !== 0) console.log('left out: the first program with the ping of this machine, which has none that works')
  await Promise.all([
    ...(pings.code === 0 ? [play('quick with ping', {})] : []),
    play('quick without ping', { PATH: empty }),
    play('quick with an outage', { PATH: [bin, process.env.PATH].join(delimiter), DEAD_HOSTS: deadHosts }),
    play('fastify', {}),
    play('events', {}),
  ])
}

const [program] = process.argv.slice(2)
await (program ? programs[program]() : all())
