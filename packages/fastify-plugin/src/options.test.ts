import { isPintailError, memoryLog, type PintailError } from '@pintail/core'
import Fastify from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { eventually, stubEngine, world } from '../test/world.ts'
import pintail from './index.ts'

const apps: { close(): PromiseLike<unknown> }[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

function host(options = {}) {
  const app = Fastify(options)
  apps.push(app)
  return app
}

const parts = () => (({ calls: _, ...rest }) => rest)(world())

/** What registering with these options is refused with. */
async function refusal(options: object): Promise<PintailError> {
  const app = host()
  app.register(pintail, options as never)
  const error = await app.ready().then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!isPintailError(error)) throw new Error(`not refused: ${error}`)
  return error
}

test('what is not an option of the plugin goes to createPintail', async () => {
  const app = host()
  const log = memoryLog()
  await app.register(pintail, { ...parts(), log, policy: { mode: 'suggest' }, authorize: 'host', start: 'ready' })
  expect(app.pintail.policy.get().policy.mode['server-down']).toBe('suggest')
  await app.ready()
  await eventually(() => app.pintail.status().servers.length > 0, 'the server list')
  await app.pintail.cordon('a')
  await app.close()
  expect(log.entries().map(({ type }) => type)).toContain('server.cordoned')
})

test('a dashboard without routes is refused: it would have nobody to ask', async () => {
  const { problems } = await refusal({ ...parts(), routePrefix: false, dashboard: true })
  expect(problems).toMatchObject([{ path: 'dashboard' }])
})

test('every problem is named at once, those of the engine too', async () => {
  const error = await refusal({
    ...parts(),
    policy: { mode: 'fast', detect: { pingCont: 3 } },
    polcy: {},
    decoratorName: '',
    start: 'later',
    stopTimeoutMs: -1,
    dashboard: 'yes',
    routePrefix: 'pintail/',
    authorize: true,
  })
  expect(error.code).toBe('invalid_options')
  expect(error.problems.map(({ path }) => path).sort()).toEqual(
    [
      'authorize',
      'dashboard',
      'decoratorName',
      'polcy',
      'policy.detect.pingCont',
      'policy.mode',
      'routePrefix',
      'start',
      'stopTimeoutMs',
    ].sort(),
  )
  expect(error.message).toContain('polcy')
})

test('a problem of the engine alone is told as createPintail tells it', async () => {
  const error = await refusal({ mover: parts().mover, authorize: 'host' })
  expect(error.code).toBe('invalid_options')
  expect(error.problems.map(({ path }) => path)).toEqual(['registry'])
})

test('nothing at all is refused with what is missing', async () => {
  const error = await refusal({})
  expect(error.problems.map(({ path }) => path).sort()).toEqual(['mover', 'registry'])
})

test('a host-made engine and parts for another one exclude each other', async () => {
  const error = await refusal({ pintail: stubEngine({}), ...parts(), authorize: 'host' })
  expect(error.problems.map(({ path }) => path).sort()).toEqual(['mover', 'probers', 'registry'])
})

test('something that is no engine is refused', async () => {
  for (const given of [null, 3, {}, 'engine']) {
    const error = await refusal({ pintail: given, authorize: 'host' })
    expect(error.problems.map(({ path }) => path)).toEqual(['pintail.start', 'pintail.stop', 'pintail.status', 'pintail.health'])
  }
})

test('the root is no prefix: its routes would shadow the 404s of the host', async () => {
  for (const routePrefix of ['', '/', '//', '/a/', 'a', '/:id', '/*', '/a b', true]) {
    const error = await refusal({ ...parts(), routePrefix, authorize: 'host' })
    expect(error.problems.map(({ path }) => path)).toEqual(['routePrefix'])
  }
})

test('two engines live in one app under two names and two prefixes', async () => {
  const app = host()
  await app.register(pintail, { ...parts(), authorize: 'host' })
  await app.register(pintail, { ...parts(), decoratorName: 'reserve', routePrefix: '/reserve', authorize: 'host', start: 'ready' })
  await app.ready()
  const { reserve } = app as unknown as { reserve: typeof app.pintail }
  expect(reserve).not.toBe(app.pintail)
  expect((await app.inject('/pintail/health')).json()).toMatchObject({ state: 'idle' })
  expect((await app.inject('/reserve/health')).json()).not.toMatchObject({ state: 'idle' })
  await app.close()
  expect([app.pintail.status().state, reserve.status().state]).toEqual(['stopped', 'stopped'])
})

test('the same name twice in one app is refused', async () => {
  const app = host()
  app.register(pintail, { ...parts(), authorize: 'host' })
  app.register(pintail, { ...parts(), authorize: 'host', routePrefix: '/other' })
  await expect(app.ready()).rejects.toMatchObject({ code: 'FST_ERR_DEC_ALREADY_PRESENT' })
})

test("Fastify's own options of register() are no unknown options, and a prefix without effect is told", async () => {
  const warnings: string[] = []
  const stream = { write: (line: string) => void (JSON.parse(line).level === 40 && warnings.push(JSON.parse(line).msg)) }
  const app = host({ logger: { stream } })
  await app.register(pintail, { ...parts(), authorize: 'host', prefix: '/v1', logLevel: 'warn', logSerializers: {} })
  expect((await app.inject('/pintail/health')).statusCode).toBe(503)
  expect((await app.inject('/v1/pintail/health')).statusCode).toBe(404)
  expect(warnings).toEqual([expect.stringContaining('routePrefix')])
})

test('options may be a function of the app', async () => {
  const app = host()
  app.register(pintail, () => ({ ...parts(), authorize: 'host' as const }))
  await app.ready()
  expect(app.pintail.status().state).toBe('idle')
})
