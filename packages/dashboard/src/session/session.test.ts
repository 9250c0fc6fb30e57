import { setTimeout as pause } from 'node:timers/promises'
import { fakeClock } from '@pintail/core/testing'
import { afterEach, expect, test, vi } from 'vitest'
import { createWorld, type World, type WorldOptions } from '../../test/world.ts'
import type { PageEvents } from './environment.ts'
import { isEnded, type Model } from './model.ts'
import { Session, type SessionOptions } from './session.ts'

// Real requests: a bound is for what hangs. After a picture that took long the next one is read half a minute later.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000, expect: { poll: { timeout: 60_000 } } })

const open: { close(): Promise<void> | void }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

/** Of this process alone: on the usual one another process may take the port while a server is away. */
const address = process.platform === 'linux' ? `127.47.${(process.pid >> 8) & 255}.${process.pid & 255}` : '127.0.0.1'

async function world(options: WorldOptions = {}): Promise<World> {
  const made = await createWorld({ address, ...options })
  open.push(made)
  return made
}

/** A page that can be hidden, as a browser's. */
function page(): PageEvents & { hide(isHidden: boolean): void; online(): void } {
  const listeners = { change: new Set<() => void>(), online: new Set<() => void>() }
  let hidden = false
  const listen = (set: Set<() => void>) => (listener: () => void) => {
    set.add(listener)
    return { cancel: () => void set.delete(listener) }
  }
  return {
    isHidden: () => hidden,
    onChange: listen(listeners.change),
    onOnline: listen(listeners.online),
    hide(isHidden) {
      hidden = isHidden
      for (const one of [...listeners.change]) one()
    },
    online: () => {
      for (const one of [...listeners.online]) one()
    },
  }
}

/** A session in its own tab: its share is off unless a test says otherwise. */
function session({ url }: { url: string }, options: Partial<SessionOptions> = {}): Session {
  const made = new Session({ url, share: null, ...options })
  open.push({ close: () => made.dispose() })
  return made
}

/** Requests that were on their way have arrived: all of it is in this process, and each turn of its loop reads what is there. */
async function arrived({ requests }: World): Promise<void> {
  for (let calm = 0, count = -1; calm < 50; calm++) {
    if (requests.length !== count) calm = 0
    count = requests.length
    await pause(5)
  }
}

/** A host that lets only this token through. */
const wanting =
  (good: () => string): NonNullable<WorldOptions['host']> =>
  (app) => {
    app.addHook('preHandler', async ({ headers }, reply) => {
      if (headers.authorization !== `Bearer ${good()}`) await reply.code(401).send({ error: 'who are you?' })
    })
  }

async function until(one: Session, rule: (model: Model) => boolean, timeoutMs = 90_000): Promise<Model> {
  const { promise, resolve, reject } = Promise.withResolvers<Model>()
  const timer = setTimeout(
    () => reject(new Error(`not so within ${timeoutMs} ms: ${rule}; link: ${JSON.stringify(one.model.link)}`)),
    timeoutMs,
  )
  const subscription = one.subscribe((model) => rule(model) && resolve(model))
  if (rule(one.model)) resolve(one.model)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    subscription.cancel()
  }
}

const isLive = ({ link, fleet }: Model): boolean => link.state === 'live' && fleet !== null

test('a session follows an outage from green to red to green, and ends with what the engine says', async () => {
  const there = await world({ speed: 20 })
  const one = session(there)
  using _watched = watch(one)
  await until(one, isLive)
  expect(one.model.servers).toHaveLength(6)
  there.fleet.kill('s1')
  await until(one, ({ serverById }) => serverById.get('s1')?.verdict.verdict === 'down')
  const moved = await until(one, ({ migrations }) => migrations.length > 0 && migrations.every(isEnded))
  expect(moved.migrations.every(({ status }) => status === 'completed')).toBe(true)
  expect(moved.migrations.reduce((sum, { connections_moved }) => sum + connections_moved, 0)).toBe(10)
  there.fleet.revive('s1')
  await until(one, ({ serverById }) => serverById.get('s1')?.verdict.verdict === 'up')
  await until(one, ({ incidents }) => incidents.length === 1 && incidents[0]?.recovered_at !== null)
})

/** Keeps a session at work between two waits. */
function watch(one: Session): Disposable {
  const subscription = one.subscribe(() => {})
  return { [Symbol.dispose]: () => subscription.cancel() }
}

test('a part of the model that has not changed stays the same object', async () => {
  const there = await world({ speed: 0 })
  const one = session(there)
  using _watched = watch(one)
  const before = await until(one, (model) => isLive(model) && model.policy !== null)
  await there.fleet.pintail.pause('all')
  const after = await until(one, ({ pauses }) => pauses.length === 1)
  expect(after).not.toBe(before)
  expect(after.policy).toBe(before.policy)
})

test('nobody subscribes: nothing is asked; after the last one has gone no stream is left', async () => {
  const there = await world()
  const one = session(there)
  await pause(50)
  expect(there.requests).toEqual([])
  const watched = watch(one)
  await until(one, isLive)
  await expect.poll(there.streams).toBe(1)
  watched[Symbol.dispose]()
  await expect.poll(there.streams).toBe(0)
  const asked = there.requests.length
  await pause(1500)
  expect(there.requests).toHaveLength(asked)
})

test('a hidden page works no more after ten seconds, and has a fresh picture when it is seen again', async () => {
  const there = await world({ speed: 20 })
  const tab = page()
  // Ten seconds of hiding in a tenth: only this wait is shorter.
  const setShort = (callback: () => void, delayMs: number) => {
    const timer = setTimeout(callback, delayMs === 10_000 ? 100 : delayMs)
    return { cancel: () => clearTimeout(timer) }
  }
  const one = session(there, { environment: { page: tab, setTimeout: setShort } })
  using _watched = watch(one)
  await until(one, isLive)
  tab.hide(true)
  await expect.poll(there.streams).toBe(0)
  await expect.poll(() => one.model.link.state).toBe('resting')
  const asked = there.requests.length
  there.fleet.kill('s1')
  await pause(1500)
  expect(there.requests).toHaveLength(asked)
  tab.hide(false)
  await until(one, ({ serverById }) => serverById.get('s1')?.verdict.verdict === 'down')
})

test('a page that is hidden when it opens asks nothing', async () => {
  const there = await world()
  const tab = page()
  tab.hide(true)
  const one = session(there, { environment: { page: tab } })
  using _watched = watch(one)
  await pause(200)
  expect(there.requests).toEqual([])
  tab.hide(false)
  await until(one, isLive)
})

test('401 in the middle is said as signed out, asks nothing more, and a new token goes on', async () => {
  let good = 'first'
  const there = await world({
    host: wanting(() => good),
  })
  const one = session(there, { token: 'first' })
  using _watched = watch(one)
  await until(one, isLive)
  good = 'second'
  await there.restart()
  await until(one, ({ link }) => link.state === 'signed-out')
  await arrived(there)
  const asked = there.requests.length
  await pause(1500)
  expect(there.requests).toHaveLength(asked)
  one.signIn('second')
  await until(one, isLive)
})

test('401 that an element meets in a reading of its own is said as signed out at once', async () => {
  let good = 'first'
  const there = await world({
    speed: 0,
    host: wanting(() => good),
  })
  // Nothing that is read for its own sake is ever due: pauses between two readings are shorter, as none takes any time here.
  const eager = (callback: () => void, delayMs: number) => {
    const timer = delayMs < 5000 ? setTimeout(callback, delayMs) : undefined
    return { cancel: () => clearTimeout(timer) }
  }
  const one = session(there, { token: 'first', environment: { now: there.fleet.clock.now, setTimeout: eager } })
  using _watched = watch(one)
  await until(one, (model) => isLive(model) && model.policy !== null)
  good = 'second'
  await expect(one.client.incidents.list({ limit: 1 })).rejects.toMatchObject({ status: 401 })
  await until(one, ({ link }) => link.state === 'signed-out')
})

test('an action that meets the end of the token is not carried out, says so, and is of use again with a new one', async () => {
  let good = 'first'
  const there = await world({
    speed: 0,
    host: wanting(() => good),
  })
  const one = session(there, { token: 'first' })
  using _watched = watch(one)
  await until(one, isLive)
  good = 'second'
  expect(await one.perform({ action: 'fleet:pause', scope: 'all' })).toMatchObject({ ok: false, kind: 'signed-out', why: { status: 401 } })
  expect(one.model.link.state).toBe('signed-out')
  expect(there.fleet.pintail.status().pauses).toEqual([])
  one.signIn('second')
  await until(one, isLive)
  expect(await one.perform({ action: 'fleet:pause', scope: 'all' })).toEqual({ ok: true })
  expect(there.fleet.pintail.status().pauses).toHaveLength(1)
})

test('signing in as somebody else forgets what the one before was shown', async () => {
  const there = await world()
  const one = session(there)
  using _watched = watch(one)
  await until(one, isLive)
  one.signIn('another')
  expect(one.model.servers).toEqual([])
  expect(one.model.fleet).toBeNull()
  await until(one, isLive)
})

test('a server that is away makes the picture stale, and live again when it is back', async () => {
  const there = await world()
  const one = session(there)
  using _watched = watch(one)
  await until(one, isLive)
  await there.restart(until(one, ({ link }) => link.state === 'stale'))
  expect(one.model.servers).toHaveLength(6)
  await until(one, isLive)
})

test('a clock that is an hour off here makes no difference', async () => {
  const there = await world({ speed: 0 })
  const one = session(there, { environment: { now: () => there.fleet.clock.now() - 3_600_000 } })
  using _watched = watch(one)
  await until(one, isLive)
  expect(one.now()).toBe(there.fleet.clock.now())
})

test('what a viewer may not do is known after he was refused', async () => {
  const there = await world({ authorize: (_request, action) => action.endsWith(':read') })
  const one = session(there)
  using _watched = watch(one)
  await until(one, isLive)
  expect(await one.perform({ action: 'fleet:pause', scope: 'all' })).toMatchObject({
    ok: false,
    kind: 'forbidden',
    why: { status: 403, code: 'forbidden' },
  })
  expect([...one.model.denied]).toEqual(['fleet:pause'])
})

test('an evacuation is approved as it was seen; if another was faster, it is read again and the person is asked', async () => {
  const there = await world({ policy: { mode: 'suggest' }, speed: 0 })
  const one = session(there)
  using _watched = watch(one)
  await until(one, isLive)
  await there.fleet.pintail.drain('s1')
  const { evacuations } = await until(one, (model) => model.evacuations.length === 1)
  const [seen] = evacuations
  if (!seen) throw new Error('no evacuation')
  await there.fleet.pintail.evacuations.cancel(seen.id)
  expect(await one.perform({ action: 'evacuations:approve', seen })).toMatchObject({
    ok: false,
    kind: 'changed',
    now: { status: 'cancelled' },
  })
  await there.fleet.pintail.drain('s2')
  const fresh = await until(one, (model) => model.evacuations.some(({ status }) => status === 'suggested'))
  const second = fresh.evacuations.find(({ status }) => status === 'suggested')
  if (!second) throw new Error('no second evacuation')
  expect(await one.perform({ action: 'evacuations:approve', seen: second })).toEqual({ ok: true })
  expect((await there.fleet.pintail.evacuations.get(second.id)).status).toBe('running')
  expect(one.model.evacuations.find(({ id }) => id === second.id)?.status).toBe('running')
})

test('a drain on a plan that is out of date is refused with what has changed', async () => {
  const there = await world({ speed: 0 })
  const one = session(there)
  using _watched = watch(one)
  await until(one, isLive)
  const outcome = await one.perform({ action: 'servers:drain', serverId: 's1', fingerprint: 'of-another-day' })
  expect(outcome).toMatchObject({ ok: false, kind: 'refused', why: { status: 409, code: 'plan_stale' } })
})

test('tabs share one stream; when the leading one closes, another goes on where it was', async () => {
  const there = await world({ speed: 20 })
  const share = `test-${process.pid}-${there.origin}`
  const [first, second, third] = [session(there, { share }), session(there, { share }), session(there, { share })]
  if (!first || !second || !third) throw new Error('three tabs are needed')
  const watched = [first, second, third].map((one) => watch(one))
  for (const one of [first, second, third]) await until(one, isLive)
  await expect.poll(there.streams).toBe(1)
  there.fleet.kill('s1')
  for (const one of [first, second, third]) await until(one, ({ serverById }) => serverById.get('s1')?.verdict.verdict === 'down')
  expect(there.streams()).toBe(1)
  first.dispose()
  await pause(300)
  there.fleet.revive('s1')
  for (const one of [second, third]) await until(one, ({ serverById }) => serverById.get('s1')?.verdict.verdict === 'up')
  // Who reads the picture meanwhile knows it before the next stream is open.
  await expect.poll(there.streams).toBe(1)
  for (const one of watched) one[Symbol.dispose]()
})

test('a leading tab that hangs is robbed, and what happens is seen again', async () => {
  const there = await world({ speed: 20 })
  const share = `hangs-${process.pid}-${there.origin}`
  const hanging = Promise.withResolvers<void>()
  // Somebody holds the lock and says nothing; being robbed ends his request.
  const held = navigator.locks.request(`pintail:${share}`, () => hanging.promise).catch(() => {})
  const clock = fakeClock()
  const one = session(there, { share, environment: { now: clock.now, setTimeout: clock.setTimeout } })
  using _watched = watch(one)
  /** Looks again and again, and so much of the session's own time passes before each look. */
  const soon = (rule: () => boolean, ms: number): Promise<void> =>
    expect
      .poll(async () => {
        await clock.advance(ms)
        return rule()
      })
      .toBe(true)
  await soon(() => isLive(one.model), 0)
  await clock.advance(30_000)
  expect(there.streams()).toBe(0)
  await clock.advance(30_000)
  await soon(() => there.streams() === 1, 0)
  await there.fleet.pintail.pause('all')
  await soon(() => one.model.pauses.length === 1, 100)
  hanging.resolve()
  await held
})

test('a tab that is robbed closes its stream, follows, and leads again when the robber has gone', async () => {
  const there = await world({ speed: 20 })
  const share = `robbed-${process.pid}-${there.origin}`
  const one = session(there, { share })
  using _watched = watch(one)
  await until(one, isLive)
  await expect.poll(there.streams).toBe(1)
  const leaving = Promise.withResolvers<void>()
  const robber = navigator.locks.request(`pintail:${share}`, { steal: true }, () => leaving.promise)
  await expect.poll(there.streams).toBe(0)
  leaving.resolve()
  await robber
  await expect.poll(there.streams).toBe(1)
  there.fleet.kill('s1')
  await until(one, ({ serverById }) => serverById.get('s1')?.verdict.verdict === 'down')
})

test('who has signed in elsewhere is let in when he comes back to the page', async () => {
  let isIn = true
  const there = await world({
    host: (app) => {
      app.addHook('preHandler', async (_request, reply) => {
        if (!isIn) await reply.code(401).send()
      })
    },
  })
  const tab = page()
  const one = session(there, { environment: { page: tab } })
  using _watched = watch(one)
  await until(one, isLive)
  isIn = false
  await there.restart()
  await until(one, ({ link }) => link.state === 'signed-out')
  isIn = true
  tab.hide(true)
  tab.hide(false)
  await until(one, isLive)
})

test('tabs of two people share nothing', async () => {
  const there = await world()
  const [first, second] = [new Session({ url: there.url, token: 'a' }), new Session({ url: there.url, token: 'b' })]
  open.push({ close: () => first.dispose() }, { close: () => second.dispose() })
  using _first = watch(first)
  using _second = watch(second)
  await until(first, isLive)
  await until(second, isLive)
  await expect.poll(there.streams).toBe(2)
})

test('a listener that throws keeps nobody else from hearing', async () => {
  const there = await world()
  const one = session(there)
  const reported: unknown[] = []
  Object.assign(globalThis, { reportError: (error: unknown) => reported.push(error) })
  one.subscribe(() => {
    throw new Error('mine alone')
  })
  await until(one, isLive)
  expect(reported[0]).toMatchObject({ message: 'mine alone' })
  Reflect.deleteProperty(globalThis, 'reportError')
})
