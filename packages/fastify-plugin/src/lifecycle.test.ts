import { createPintail, type Logger, PintailError } from '@pintail/core'
import Fastify from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { eventually, stubEngine, world } from '../test/world.ts'
import pintail from './index.ts'

const apps: { close(): PromiseLike<unknown> }[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

/** An app whose log lines are kept. */
function host() {
  const lines: { level: number; msg: string; [key: string]: unknown }[] = []
  const app = Fastify({ logger: { level: 'debug', stream: { write: (line) => void lines.push(JSON.parse(line)) } } })
  apps.push(app)
  return { app, lines, warnings: () => lines.filter(({ level }) => level >= 40) }
}

test('registering, booting and inject() start nothing and touch nothing', async () => {
  const { app } = host()
  const { calls, ...parts } = world(['a'])
  await app.register(pintail, { ...parts, policy: { mode: 'auto' }, authorize: 'host' })
  app.get('/', async () => 'the host')
  expect((await app.inject('/')).body).toBe('the host')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(app.pintail.status().state).toBe('idle')
  expect(calls).toEqual({ lists: 0, probes: 0, moves: 0 })
})

test('listening starts the engine, closing stops it', async () => {
  const { app } = host()
  const { calls, ...parts } = world()
  await app.register(pintail, { ...parts, authorize: 'host' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  await eventually(() => calls.probes > 0, 'a probe')
  expect(app.pintail.status().state).toBe('leading')
  await app.close()
  expect(app.pintail.status().state).toBe('stopped')
  const { probes } = calls
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(calls.probes).toBe(probes)
})

test("start: 'ready' starts it without a listening socket", async () => {
  const { app } = host()
  const { calls: _, ...parts } = world()
  await app.register(pintail, { ...parts, authorize: 'host', start: 'ready' })
  expect(app.pintail.status().state).toBe('idle')
  await app.ready()
  expect(app.pintail.status().state).not.toBe('idle')
})

test("start: 'manual' leaves start() to the host, and close still stops what the plugin made", async () => {
  const { app } = host()
  const { calls: _, ...parts } = world()
  await app.register(pintail, { ...parts, authorize: 'host', start: 'manual' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  expect(app.pintail.status().state).toBe('idle')
  await app.pintail.start()
  await app.close()
  expect(app.pintail.status().state).toBe('stopped')
})

test('an engine that the host has started already is not started twice', async () => {
  const { app, warnings } = host()
  const { calls: _, ...parts } = world()
  await app.register(pintail, { ...parts, authorize: 'host' })
  await app.pintail.start()
  await app.listen({ host: '127.0.0.1', port: 0 })
  expect(warnings()).toEqual([])
})

test('a host-made engine is decorated, and neither started nor stopped', async () => {
  const { app } = host()
  const { calls: _, ...parts } = world()
  const engine = createPintail(parts)
  await app.register(pintail, { pintail: engine, authorize: 'host' })
  expect(app.pintail).toBe(engine)
  await app.listen({ host: '127.0.0.1', port: 0 })
  expect(engine.status().state).toBe('idle')
  await engine.start()
  await app.close()
  expect(['standby', 'leading']).toContain(engine.status().state)
  await engine.stop()
})

test('a host-made engine with an explicit start is started and stopped by the plugin', async () => {
  for (const start of ['listen', 'ready'] as const) {
    const { app } = host()
    const { calls: _, ...parts } = world()
    const engine = createPintail(parts)
    await app.register(pintail, { pintail: engine, authorize: 'host', start })
    await app.listen({ host: '127.0.0.1', port: 0 })
    expect(engine.status().state).not.toBe('idle')
    await app.close()
    expect(engine.status().state).toBe('stopped')
  }
})

test('a failed start is logged, turns the health red and harms nobody', async () => {
  for (const start of ['listen', 'ready'] as const) {
    const { app, lines } = host()
    const failing = stubEngine({ start: () => Promise.reject(new PintailError('unavailable', 'no store at db.internal')) })
    await app.register(pintail, { pintail: failing, authorize: 'host', start })
    app.get('/', async () => 'the host')
    await app.listen({ host: '127.0.0.1', port: 0 })
    expect((await app.inject('/')).statusCode).toBe(200)
    const health = await app.inject('/pintail/health')
    expect(health.statusCode).toBe(503)
    expect(health.json()).toMatchObject({ status: 'failing', reasons: ['start_failed'] })
    // Anybody may ask for the health; an error's text is for the log.
    expect(health.body).not.toContain('db.internal')
    expect(lines.filter(({ level, msg }) => level === 50 && msg.includes('no store at db.internal'))).toHaveLength(1)
  }
})

test('a start that throws at once or rejects with nothing is a failed start too', async () => {
  const throwing = () => {
    throw new Error('at once')
  }
  for (const start of [throwing, () => Promise.reject(undefined)]) {
    const { app } = host()
    await app.register(pintail, { pintail: stubEngine({ start }), authorize: 'host', start: 'ready' })
    expect((await app.inject('/pintail/health')).json()).toMatchObject({ reasons: ['start_failed'] })
  }
})

test('a failed start that the host makes good by hand turns green again', async () => {
  const { app } = host()
  const { calls, ...parts } = world()
  const engine = createPintail(parts)
  const start = engine.start.bind(engine)
  let tries = 0
  const flaky = Object.assign(engine, { start: () => (tries++ === 0 ? Promise.reject(new Error('not yet')) : start()) })
  await app.register(pintail, { pintail: flaky, authorize: 'host', start: 'ready' })
  expect((await app.inject('/pintail/health')).statusCode).toBe(503)
  await app.pintail.start()
  await eventually(() => calls.probes > 0, 'a probe')
  expect((await app.inject('/pintail/health')).json()).toMatchObject({ status: 'ok', state: 'leading', reasons: [] })
})

test('close hands the engine its time-out, and goes on after it if the engine does not keep it', async () => {
  const { app, lines } = host()
  const hanging = stubEngine({ stop: () => new Promise(() => {}) })
  await app.register(pintail, { pintail: hanging, authorize: 'host', start: 'ready', stopTimeoutMs: 50 })
  await app.ready()
  // It never stops by itself: whoever gets past this line did not wait for it.
  await app.close()
  expect(hanging.calls).toEqual(['start', 'stop 50'])
  expect(lines.some(({ level, msg }) => level === 50 && msg.includes('did not stop within 50 ms'))).toBe(true)
})

test('a stop that throws does not keep the app from closing', async () => {
  const { app, lines } = host()
  const throwing = stubEngine({
    stop: () => {
      throw new Error('broken stop')
    },
  })
  await app.register(pintail, { pintail: throwing, authorize: 'host', start: 'ready' })
  await app.ready()
  await app.close()
  expect(lines.some(({ level, msg }) => level === 50 && msg.includes('broken stop'))).toBe(true)
})

test('the engine stops after the last request and before what was registered earlier', async () => {
  const order: string[] = []
  const { app } = host()
  app.addHook('onClose', async () => void order.push('database closed'))
  const engine = stubEngine({ stop: async () => void order.push('engine stopped') })
  await app.register(pintail, { pintail: engine, authorize: 'host', start: 'ready' })
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
  app.get('/slow', async () => {
    arrive()
    await new Promise((resolve) => setTimeout(resolve, 100))
    order.push('request answered')
    return 'slow'
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const asked = fetch(`${address}/slow`, { headers: { connection: 'close' } })
  await arrived
  await app.close()
  await asked
  expect(order).toEqual(['request answered', 'engine stopped', 'database closed'])
})

test("the engine writes to the app's log unless it is given another", async () => {
  const own: string[] = []
  const note = (_: object, message: string) => void own.push(message)
  const logger: Logger = { debug: note, info: note, warn: note, error: note }
  for (const given of [undefined, logger]) {
    const { app, lines } = host()
    const { calls, ...parts } = world()
    await app.register(pintail, { ...parts, ...(given && { logger: given }), authorize: 'host', start: 'ready' })
    await app.ready()
    await eventually(() => calls.probes > 0, 'a probe')
    const heard = lines.some(({ msg }) => msg.includes('mover.verify'))
    expect(heard).toBe(!given)
    expect(own.some((message) => message.includes('mover.verify'))).toBe(!!given)
  }
})
