import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

// In a process of its own: only its end shows that no timer, socket or listener is left.

const program = (body: string) => `
  import { createServer } from 'node:net'
  import { createPintail, memoryMover, memoryRegistry, tcp } from '@pintail/core'
  import pintail from '@pintail/fastify-plugin'
  import Fastify from 'fastify'
  const vpn = createServer((socket) => socket.destroy())
  await new Promise((resolve) => vpn.listen(0, '127.0.0.1', resolve))
  const { port } = vpn.address()
  const registry = memoryRegistry({
    servers: [1, 2, 3].map((n) => ({ id: n, host: '127.0.0.1', port, capacity: 10 })),
    connections: { 1: [{ id: 'ann' }, { id: 'bob' }] },
  })
  const policy = { mode: 'auto', detect: { checkIntervalMs: 50 } }
  const parts = { registry, mover: memoryMover(registry), probers: [tcp()], policy, authorize: 'host' }
  const app = Fastify()
  const until = async (holds) => { while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10)) }
  const listen = () => app.listen({ host: '127.0.0.1', port: 0 })
  // Milliseconds that this process has lived through: those for which the machine has stopped it do not count.
  const lived = () => {
    let ticks = 0
    setInterval(() => ticks++, 10).unref()
    return () => ticks * 10
  }
  ${body}
  vpn.close()
  console.log('closed')
  const sinceClosed = lived()
  process.on('exit', () => console.log('ended', sinceClosed()))
`

/** What the program prints; rejects unless it ends by itself. */
function run(body: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const args = ['--conditions=@pintail/source', '--input-type=module', '-e', program(body)]
  execFile(process.execPath, args, { cwd: join(import.meta.dirname, '..'), timeout: 100_000 }, (error, stdout, stderr) => {
    if (error) reject(new Error(`${error.signal ?? error.code}: ${stdout}${stderr}`))
    else resolve(stdout)
  })
  return promise
}

const endedMs = (output: string): number => Number(/^ended (\d+)$/m.exec(output)?.[1] ?? Number.NaN)

test('after close the process ends by itself within a second', async () => {
  const output = await run(`
    await app.register(pintail, parts)
    const address = await listen()
    const health = () => fetch(address + '/pintail/health', { headers: { connection: 'close' } })
    await until(async () => (await health()).status === 200 && app.pintail.status().lastCheckAt !== null)
    app.pintail.on('*', () => { throw new Error('a listener of the host') })
    await app.close()
  `)
  expect(endedMs(output)).toBeLessThan(1000)
}, 120_000)

test('a move that never settles keeps neither close nor the process waiting', async () => {
  const output = await run(`
    let moving = false
    const mover = { move: () => { moving = true; return new Promise(() => {}) } }
    await app.register(pintail, { ...parts, mover, stopTimeoutMs: 200 })
    await listen()
    await until(() => app.pintail.status().counts.up === 3)
    await app.pintail.drain(1)
    await until(() => moving)
    const sinceBegun = lived()
    await app.close()
    console.log('close took', sinceBegun())
  `)
  expect(Number(/close took (\d+)/.exec(output)?.[1])).toBeLessThan(1500)
  expect(endedMs(output)).toBeLessThan(1000)
}, 120_000)

test('two engines that were registered and never started leave nothing either', async () => {
  const output = await run(`
    await app.register(pintail, parts)
    await app.register(pintail, { pintail: createPintail((({ authorize, ...rest }) => rest)(parts)), decoratorName: 'other', routePrefix: false })
    await app.inject('/pintail/health')
    await app.close()
  `)
  expect(endedMs(output)).toBeLessThan(1000)
}, 120_000)

test('a host that is dropped after registering, without listening or closing, ends too', async () => {
  const output = await run('await app.register(pintail, parts)\nawait app.ready()')
  expect(endedMs(output)).toBeLessThan(1000)
}, 120_000)
