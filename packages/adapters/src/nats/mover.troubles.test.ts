import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { isPintailError, systemClock } from '@pintail/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { again, call, disconnected, moveOf, type RegionFleet, regionFleet, users } from '../../test/fleet.ts'
import { type LogLine, recordingLogger } from '../../test/logger.ts'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { memoryBook } from '../regions/index.ts'
import { setUpNats } from './setUp.ts'
import { natsSubjects } from './subjects.ts'

const codeOf = (error: unknown): string => (isPintailError(error) ? error.code : String(error))
const failed = (work: PromiseLike<unknown>): Promise<string> =>
  Promise.resolve(work).then(
    () => 'resolved',
    (error: unknown) => codeOf(error),
  )

describe.skipIf(!hasNats)(`the mover in trouble ${needsNats}`, () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await startNats()
  })
  afterAll(() => server?.stop())

  let manager: Promise<JetStreamManager> | null = null
  const waiting = async ({ prefix }: RegionFleet): Promise<number> => {
    manager ??= server.connect().then((nats) => jetstreamManager(nats))
    return (await (await manager).streams.info(natsSubjects(prefix).streams.commands)).state.messages
  }

  test('without a broker a move is `unavailable`, nothing was published, and the same key moves later', async () => {
    await using fleet = await regionFleet(server)
    const down = disconnected(fleet.nats)
    fleet.relay.turn('down')
    await down
    const move = moveOf('a')
    expect(await failed(fleet.mover.move(move, call()))).toBe('unavailable')
    expect(await waiting(fleet)).toBe(0)
    expect(await fleet.mover.locate(move, call())).toBe('on_source')
    await fleet.mend()
    await expect.poll(() => failed(fleet.mover.move(again(move), call()))).toBe('resolved')
    expect(fleet.grantsOf('a')).toEqual(['s1', 's2'])
  })

  test('a broker that does not say whether it keeps a command leaves it open, and the same pair is answered anew', async () => {
    await using fleet = await regionFleet(server, { options: { publishTimeoutMs: 200 } })
    const move = moveOf('a')
    fleet.relay.turn('silent')
    expect(await failed(fleet.mover.move(move, call()))).toBe('timeout')
    // It was kept, and done; the answer was lost.
    await expect.poll(() => fleet.grantsOf('a')).toEqual(['s1', 's2'])
    expect(await fleet.book.homeOf('a')).toBe('s1')
    await fleet.mend()
    // On a busy machine the broker may need longer once more.
    const codes: string[] = ['timeout']
    await expect.poll(async () => codes.push(await failed(fleet.mover.move(move, call()))) && codes.at(-1)).toBe('resolved')
    expect(await fleet.book.homeOf('a')).toBe('s2')
    expect(fleet.mover.figures().timeouts).toBe(codes.filter((code) => code === 'timeout').length)
  })

  test('a full stream is `unavailable`, and what waits in it is not lost', async () => {
    await using fleet = await regionFleet(server, { options: { clock: systemClock } })
    await setUpNats(await server.connect(), { prefix: fleet.prefix, commandBytes: 1024 * 1024 })
    await fleet.stopWorker()
    const filler = 'x'.repeat(60_000)
    const codes: string[] = []
    for (let index = 0; index < 40 && !codes.includes('unavailable'); index++) {
      await fleet.book.assign({ id: `u${index}` }, 's1', { filler })
      const enough = new AbortController()
      let isOver = false
      const code = failed(fleet.mover.move(moveOf(`u${index}`), call(enough.signal))).finally(() => {
        isOver = true
      })
      // Nobody is there to answer what the broker has kept.
      await expect.poll(async () => isOver || (await waiting(fleet)) > index, { interval: 1 }).toBe(true)
      enough.abort()
      codes.push(await code)
    }
    expect(codes.at(-1)).toBe('unavailable')
    expect(codes.slice(0, -1).every((code) => code === 'aborted')).toBe(true)
    expect(await waiting(fleet)).toBe(codes.length - 1)
  })

  test('a grant that its worker did not take in time has no effect later, and the undoing waits for the worker', async () => {
    await using fleet = await regionFleet(server, { options: { timeoutMs: 300 } })
    await fleet.stopWorker()
    const move = moveOf('a')
    expect(await failed(fleet.mover.move(move, call()))).toBe('timeout')
    expect(await fleet.mover.locate(move, call())).toBe('on_source')
    const undo = again(move)
    expect(await failed(fleet.mover.rollback(undo, call()))).toBe('timeout')
    // It waits for its worker: to say that he is not there would be a guess.
    expect(await failed(fleet.mover.locate(undo, call()))).toBe('timeout')
    await fleet.startWorker()
    await expect.poll(() => failed(fleet.mover.rollback(again(move), call()))).toBe('resolved')
    await expect.poll(() => waiting(fleet)).toBe(0)
    expect(fleet.grantsOf('a')).toEqual(['s1'])
    expect(fleet.worker().figures()).toMatchObject({ dead: 0 })
    expect(await fleet.mover.locate(undo, call())).toBe('on_source')
  })

  test('a revoke for a dead worker waits once, however often it is asked for, and is done when the worker is back', async () => {
    await using fleet = await regionFleet(server)
    const move = moveOf('a')
    await fleet.mover.move(move, call())
    await fleet.stopWorker()
    for (let times = 0; times < 6; times++) expect(await failed(fleet.mover.complete(again(move), call()))).toBe('timeout')
    expect(await waiting(fleet)).toBe(1)
    expect(await fleet.mover.locate(move, call())).toBe('on_both')
    await fleet.startWorker()
    await expect.poll(() => fleet.grantsOf('a')).toEqual(['s2'])
    // Nobody waited for the answer, and it is in the books all the same.
    await expect.poll(() => fleet.mover.locate(move, call())).toBe('on_target')
    await fleet.mover.complete(again(move), call())
    expect(fleet.grantsOf('a')).toEqual(['s2'])
  })

  test('whoever has come home since keeps his access, whatever waits for it to be taken', async () => {
    await using fleet = await regionFleet(server)
    const away = moveOf('a')
    await fleet.mover.move(away, call())
    // The worker of the source is away: the revoke waits, and so does the grant of the way back.
    await fleet.stopWorker()
    expect(await failed(fleet.mover.complete(again(away), call()))).toBe('timeout')
    const back = moveOf('a', { from: 's2', to: 's1' })
    expect(await failed(fleet.mover.move(back, call()))).toBe('timeout')
    await fleet.startWorker()
    await expect.poll(() => failed(fleet.mover.move(again(back), call()))).toBe('resolved')
    expect(await fleet.book.homeOf('a')).toBe('s1')
    expect(fleet.grantsOf('a')).toContain('s1')
    // A late one, and one repeated, with whatever epoch.
    for (const late of [away, again(away), again(away)]) await failed(fleet.mover.complete(late, call()))
    expect(fleet.grantsOf('a')).toContain('s1')
    await fleet.mover.complete(again(back), call())
    expect(fleet.grantsOf('a')).toEqual(['s1'])
  })

  test('what a worker could not do is `unavailable`, and what the broker delivers again then has no effect', async () => {
    await using fleet = await regionFleet(server)
    // Until what was tried is taken back: on a busy machine the broker may deliver it again before.
    let isTakenBack = false
    fleet.handler.before = (what, { serverId }) => {
      if (serverId !== 's2') return
      if (what === 'revoke') isTakenBack = true
      if (what === 'grant' && !isTakenBack) throw new Error('socket closed')
    }
    expect(await failed(fleet.mover.move(moveOf('a'), call()))).toBe('internal')
    await expect.poll(() => waiting(fleet)).toBe(0)
    expect(fleet.grantsOf('a')).toEqual(['s1'])
    expect(fleet.worker().figures().stale).toBe(1)
  })

  test('a leader who has been replaced changes nothing, neither in the books nor on a server', async () => {
    await using fleet = await regionFleet(server)
    await fleet.mover.move(moveOf('a', { token: 5 }), call())
    for (const late of [moveOf('b', { token: 4 }), moveOf('a', { token: 4, from: 's2', to: 's3' })]) {
      expect(await failed(fleet.mover.move(late, call()))).toBe('fenced')
      expect(await failed(fleet.mover.rollback(late, call()))).toBe('fenced')
      expect(await failed(fleet.mover.complete(late, call()))).toBe('fenced')
    }
    expect([fleet.grantsOf('a'), fleet.grantsOf('b')]).toEqual([['s1', 's2'], ['s1']])
    expect(fleet.mover.figures().fenced).toBe(6)
  })

  test('a broker that restarts in the middle loses nobody: each ends with one access, where the books say', async () => {
    await using own = await startNats()
    await using fleet = await regionFleet(own, { options: { clock: systemClock, timeoutMs: 2000, publishTimeoutMs: 500 } })
    const ids = Array.from({ length: 40 }, (_, index) => `r${index}`)
    for (const id of ids) {
      await fleet.book.assign({ id }, 's1', { key: id })
      fleet.handler.granted.set(`s1/${id}`, { key: id })
    }
    const persistent = (work: () => PromiseLike<unknown>) => expect.poll(() => failed(work()), { timeout: 100_000 }).toBe('resolved')
    const all = Promise.all(
      ids.map(async (id) => {
        const move = moveOf(id)
        await persistent(() => fleet.mover.move(again(move), call()))
        await persistent(() => fleet.mover.complete(again(move), call()))
      }),
    )
    await own.restart()
    await all
    expect(await Promise.all(ids.map((id) => fleet.book.homeOf(id)))).toEqual(ids.map(() => 's2'))
    expect(ids.map((id) => fleet.grantsOf(id))).toEqual(ids.map(() => ['s2']))
  }, 240_000)

  test('what is no answer is no answer: it is told, and changes nothing', async () => {
    const lines: LogLine[] = []
    await using fleet = await regionFleet(server, { options: { sender: 'me', logger: recordingLogger(lines) } })
    const forger = await server.connect()
    const { reply, event } = natsSubjects(fleet.prefix)
    for (const body of ['', '{', '[]', '{"v":2}', JSON.stringify({ v: 1, status: 'ok' }), 'x'.repeat(400_000)]) {
      forger.publish(reply('me'), body)
      forger.publish(event('de', 's1'), body)
    }
    await forger.flush()
    await expect.poll(() => lines.filter(({ message }) => message.includes('not understood')).length).toBe(12)
    await fleet.mover.move(moveOf('a'), call())
    expect(await fleet.book.homeOf('a')).toBe('s2')
  })

  test('no key and no payload is ever in a log line or an error', async () => {
    const lines: LogLine[] = []
    const secret = 'c2VjcmV0LXByZXNoYXJlZC1rZXk='
    await using fleet = await regionFleet(server, { options: { logger: recordingLogger(lines) } })
    await fleet.book.assign({ id: 'a' }, 's1', { psk: secret })
    const errors: unknown[] = []
    const note = (work: PromiseLike<unknown>) => Promise.resolve(work).catch((error: unknown) => errors.push(error))
    fleet.handler.before = () => {
      throw new Error('no')
    }
    await note(fleet.mover.move(moveOf('a'), call()))
    await fleet.stopWorker()
    await note(fleet.mover.move(moveOf('a'), call()))
    await note(fleet.mover.rollback(moveOf('a'), call()))
    expect(errors).toHaveLength(3)
    const said = errors.map((error) => `${String(error)} ${JSON.stringify(error)}`).join()
    expect(JSON.stringify(lines) + said).not.toContain(secret)
  })

  test('closing ends what waits, and leaves no subscription', async () => {
    await using fleet = await regionFleet(server, {
      options: { clock: systemClock, leads: () => 1, syncEveryMs: 86_400_000, random: () => 0.5 },
    })
    await fleet.stopWorker()
    const waits = failed(fleet.mover.move(moveOf('a'), call()))
    await expect.poll(() => fleet.mover.figures().waiting).toBe(1)
    await fleet.mover.close()
    expect(await waits).toBe('stopped')
    const { subscriptions } = (fleet.nats as unknown as { protocol: { subscriptions: { size(): number } } }).protocol
    // That of the client's own requests is left.
    expect(subscriptions.size()).toBeLessThanOrEqual(1)
  })

  describe('full syncs', () => {
    const drifted = (fleet: RegionFleet): void => {
      fleet.handler.granted.delete('s1/a')
      fleet.handler.granted.set('s1/b', { key: 'another' })
      fleet.handler.granted.set('s2/c', { key: 'k-c' })
      fleet.handler.strangers.set('s1', 2)
    }

    test('a sync repairs what has drifted, tells of it, and finds nothing the second time', async () => {
      const told: unknown[] = []
      await using fleet = await regionFleet(server, {
        options: { leads: () => 1, syncEveryMs: null, onDrift: (report) => void told.push(report) },
      })
      drifted(fleet)
      const reports = await fleet.mover.sync()
      const brief = reports.map(({ serverId, status, missing, changed, extra, foreign }) => [
        serverId,
        status,
        missing,
        changed,
        extra,
        foreign,
      ])
      expect(brief.sort()).toEqual([
        ['s1', 'applied', 1, 1, 0, 2],
        ['s2', 'applied', 0, 0, 1, 0],
        ['s3', 'applied', 0, 0, 0, 0],
      ])
      expect(users.map((id) => fleet.grantsOf(id))).toEqual(users.map(() => ['s1']))
      expect(fleet.handler.granted.get('s1/b')).toEqual({ key: 'k-b' })
      expect(told).toHaveLength(2)
      for (const report of await fleet.mover.sync()) expect(report).toMatchObject({ status: 'applied', missing: 0, changed: 0, extra: 0 })
      expect(fleet.mover.figures()).toMatchObject({ syncs: 6, driftMissing: 1, driftChanged: 1, driftExtra: 1 })
    })

    test('whoever is on his way is left: a sync in the middle of his move takes nothing from him', async () => {
      await using fleet = await regionFleet(server, { options: { leads: () => 1, syncEveryMs: null } })
      // The access is in force, and the home is not set yet.
      const held = Promise.withResolvers<void>()
      const reached = Promise.withResolvers<void>()
      const { setHome } = fleet.book
      fleet.book.setHome = async (...args) => {
        reached.resolve()
        await held.promise
        return setHome(...args)
      }
      const moving = fleet.mover.move(moveOf('a'), call())
      await reached.promise
      expect(fleet.grantsOf('a')).toEqual(['s1', 's2'])
      expect(await fleet.mover.sync('s2')).toMatchObject([{ status: 'applied', extra: 0 }])
      expect(fleet.grantsOf('a')).toEqual(['s1', 's2'])
      held.resolve()
      await moving
      expect(await fleet.mover.sync('s2')).toMatchObject([{ status: 'applied', wanted: 1, missing: 0, extra: 0 }])
    })

    test('what was granted for a move that came to nothing is taken away, and forgotten', async () => {
      await using fleet = await regionFleet(server, { options: { leads: () => 1, syncEveryMs: null } })
      const { setHome } = fleet.book
      fleet.book.setHome = async () => {
        throw new Error('the database has gone')
      }
      expect(await failed(fleet.mover.move(moveOf('a'), call()))).not.toBe('resolved')
      fleet.book.setHome = setHome
      expect(fleet.grantsOf('a')).toEqual(['s1', 's2'])
      expect(await fleet.mover.sync('s2')).toMatchObject([{ status: 'applied', extra: 1 }])
      expect(fleet.grantsOf('a')).toEqual(['s1'])
      expect((await fleet.book.look('a', call()))?.rows.map(({ serverId }) => serverId)).toEqual(['s1'])
    })

    test('a list that is larger than a message goes in pages, and arrives whole', async () => {
      await using fleet = await regionFleet(server, { options: { leads: () => 1, syncEveryMs: null } })
      const ids = Array.from({ length: 900 }, (_, index) => `big${index}`)
      for (const id of ids) await fleet.book.assign({ id }, 's3', { id, filler: 'x'.repeat(600) })
      expect(await fleet.mover.sync('s3')).toMatchObject([{ status: 'applied', wanted: 900, missing: 900 }])
      expect(fleet.mover.figures().published).toBeGreaterThan(2)
      expect(ids.every((id) => fleet.grantsOf(id).includes('s3'))).toBe(true)
      expect(await fleet.mover.sync('s3')).toMatchObject([{ status: 'applied', missing: 0, changed: 0 }])
    })

    test('who does not lead does not sync, and who led before is refused', async () => {
      let token: number | null = null
      await using fleet = await regionFleet(server, { options: { leads: () => token, syncEveryMs: null } })
      drifted(fleet)
      expect(await failed(fleet.mover.sync())).toBe('not_leader')
      token = 3
      expect(await failed(fleet.mover.sync('nowhere'))).toBe('not_found')
      await fleet.book.fence(4, call())
      expect(await fleet.mover.sync('s1')).toMatchObject([{ status: 'failed' }])
      expect(fleet.grantsOf('a')).toEqual([])
      token = 5
      expect(await fleet.mover.sync('s1')).toMatchObject([{ status: 'applied', missing: 1 }])
      expect(fleet.grantsOf('a')).toEqual(['s1'])
    })

    test('a worker that begins with an empty book is synced without being asked', async () => {
      // The first list of each server at once, the next one tomorrow.
      const options = { leads: () => 1, syncEveryMs: 86_400_000, random: () => 0 }
      await using fleet = await regionFleet(server, { options })
      await expect.poll(() => fleet.mover.figures().syncs, { interval: 20 }).toBe(3)
      await fleet.stopWorker()
      fleet.handler.granted.clear()
      await fleet.startWorker(memoryBook())
      const healthy = users.filter((id) => id !== 'refused')
      await expect.poll(() => healthy.map((id) => fleet.grantsOf(id).join()), { interval: 20 }).toEqual(healthy.map(() => 's1'))
    })

    test('a worker that was silent is synced as soon as it is heard again', async () => {
      // Nobody leads, so nobody syncs, until the worker is away.
      let token: number | null = null
      const options = { leads: () => token, syncEveryMs: 86_400_000, random: () => 0, clock: systemClock, timeoutMs: 300 }
      await using fleet = await regionFleet(server, { options })
      await fleet.stopWorker()
      token = 1
      await expect.poll(() => fleet.mover.figures().syncsFailed, { interval: 20 }).toBe(3)
      await expect.poll(() => waiting(fleet)).toBe(3)
      fleet.handler.granted.delete('s1/a')
      // Its book is not empty, so that it does not ask for a list; but it answers to the old ones.
      const book = memoryBook()
      await book.mark('s1', { token: 1, since: null, sync: null })
      await fleet.startWorker(book)
      await expect.poll(() => fleet.grantsOf('a'), { interval: 20 }).toEqual(['s1'])
    })
  })
})
