import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { type Clock, systemClock } from '@pintail/core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type FileServers, fileServers } from '../../test/fileServers.ts'
import { hasNats, type NatsServer, needsNats, startCluster, startNats } from '../../test/nats.ts'
import { type Asked, bytesOf, commandOf, type Desk, deskOn, fakeServers } from '../../test/region.ts'
import { relayTo } from '../../test/relay.ts'
import { memoryBook } from '../regions/book.ts'
import { encodeCommand, type Result } from '../regions/messages.ts'
import { natsFailure } from './failure.ts'
import { setUpNats } from './setUp.ts'
import { natsSubjects } from './subjects.ts'
import { type NatsWorkerOptions, type RunningWorker, runRegionWorker } from './worker.ts'

interface WorkerProcess {
  readonly child: ChildProcess
  /** Resolves with the line once it has said it. */
  said(line: RegExp): Promise<string>
  ended: Promise<unknown>
}

let count = 0

describe.skipIf(!hasNats)(`workers in trouble ${needsNats}`, () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await startNats()
  })
  afterAll(() => server?.stop())

  /** A prefix, so streams, of its own; a desk; and servers that several processes share. */
  async function scene(on: NatsServer = server): Promise<{ prefix: string; desk: Desk; servers: FileServers; path: string; book: string }> {
    count += 1
    const prefix = `t${count}`
    await setUpNats(await on.connect(), { prefix })
    const path = join(on.folder, `servers-${count}`)
    return {
      prefix,
      path,
      book: join(on.folder, `book-${count}.db`),
      desk: await deskOn(await on.connect(), prefix),
      servers: fileServers(path),
    }
  }

  /** With `ackWaitMs: 1000` what it has goes to another one when it has stood still for a second: as it may on a busy machine. */
  const running = async (
    options: Partial<NatsWorkerOptions> & Pick<NatsWorkerOptions, 'prefix' | 'handler'>,
    on = server,
  ): Promise<RunningWorker> => {
    const worker = await runRegionWorker({ nats: await on.connect(), region: 'de', ...options })
    onTestFinished(() => worker.stop(0))
    return worker
  }

  function startProcess(...args: readonly string[]): WorkerProcess {
    const file = new URL('../../test/regionProcess.ts', import.meta.url).pathname
    const child = spawn(process.execPath, ['--conditions=@pintail/source', file, String(server.port), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await ended
    })
    const lines: string[] = []
    const waiting = new Set<() => void>()
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      lines.push(line)
      for (const look of waiting) look()
    })
    const said = (wanted: RegExp): Promise<string> =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = lines.find((line) => wanted.test(line))
          if (found === undefined) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      })
    return { child, said, ended }
  }

  test('a worker killed after the effect and before the answer: the next one answers, and the state is the same', async () => {
    const { prefix, desk, servers, path, book } = await scene()
    const first = startProcess(prefix, path, book, 'hold-after')
    await first.said(/^ready/)
    const answered = desk.ask({})
    await first.said(/^done c1/)
    first.child.kill('SIGKILL')
    await first.ended
    expect([servers.effects(), desk.results]).toEqual([['grant de-1/c1 1.1'], []])
    const second = startProcess(prefix, path, book)
    expect(await answered).toMatchObject({ status: 'ok' })
    expect(servers.granted()).toEqual(['de-1/c1'])
    await second.said(/^ready/)
    second.child.kill('SIGTERM')
    const figures = JSON.parse((await second.said(/^figures/)).slice('figures '.length))
    // A broker of 2.9 does not always count the delivery to somebody who died.
    expect(figures).toMatchObject({ applied: 1, dead: 0 })
    await expect.poll(desk.waiting).toBe(0)
  })

  test('a worker killed after the book and started again does not do it twice', async () => {
    const { prefix, desk, servers, path, book } = await scene()
    const first = startProcess(prefix, path, book)
    expect(await desk.ask({})).toMatchObject({ status: 'ok' })
    first.child.kill('SIGKILL')
    await first.ended
    startProcess(prefix, path, book)
    expect(await desk.ask({})).toMatchObject({ status: 'noop' })
    expect(await desk.ask({ type: 'access.revoke', epoch: 0 })).toMatchObject({ status: 'rejected', code: 'STALE' })
    expect(servers.effects()).toEqual(['grant de-1/c1 1.1'])
  })

  test('a worker that stood still: another takes over, its late effect is told, and a sync repairs it', async () => {
    const { prefix, desk, servers, path } = await scene()
    const first = startProcess(prefix, path, '-', 'hold-before')
    await first.said(/^ready/)
    const sent = [commandOf({ replyTo: desk.replyTo }), commandOf({ connectionId: 'c2', replyTo: desk.replyTo })]
    for (const command of sent) await desk.send(command)
    await first.said(/^begun c1/)
    first.child.kill('SIGSTOP')
    const second = await running({ prefix, handler: servers, ackWaitMs: 1000 })
    for (const { id } of sent) expect(await desk.answer(id)).toMatchObject({ status: 'ok' })
    for (const connectionId of ['c1', 'c2'])
      expect(await desk.ask({ type: 'access.revoke', epoch: 2, connectionId })).toMatchObject({ status: 'ok' })
    expect(servers.granted()).toEqual([])

    // The second one may have been late too, by its own.
    const late = () => desk.events.filter(({ type }) => type === 'effect.late')
    const before = late().length
    first.child.stdin?.write('go on\n')
    first.child.kill('SIGCONT')
    await expect.poll(() => late().length).toBeGreaterThan(before)
    for (const one of late().slice(before)) expect(one).toMatchObject({ serverId: 'de-1', data: { connections: ['c1'] } })
    // What it had not begun when it stood still it leaves alone: c2 was not granted again.
    expect(servers.granted()).toEqual(['de-1/c1'])
    first.child.kill('SIGTERM')
    await first.ended
    const synced = await desk.ask({ type: 'access.sync', epoch: 3, payload: { syncId: 's', page: 0, pages: 1, entries: [], leave: [] } })
    expect([synced.payload, servers.granted()]).toMatchObject([{ extra: 1 }, []])
    expect(second.figures()).toMatchObject({ applied: 4, syncs: 1, driftExtra: 1 })
  })

  test('a broker that restarts in the middle loses no command, and nothing is done twice', async () => {
    await using own = await startNats()
    const { prefix, desk, servers } = await scene(own)
    const worker = await running({ prefix, handler: servers, ackWaitMs: 1000 }, own)
    const wanted = Array.from({ length: 300 }, (_, index) =>
      commandOf({ connectionId: `c${index}`, epoch: index, deadline: null, replyTo: desk.replyTo }),
    )
    const sending = (async () => {
      // Each is tried until the broker has it: the message id makes one of them.
      for (const command of wanted)
        for (;;)
          if (
            await desk.send(command, { timeout: 1000 }).then(
              () => true,
              () => false,
            )
          )
            break
    })()
    await expect.poll(() => worker.figures().applied).toBeGreaterThan(20)
    await own.restart()
    await sending
    await expect.poll(() => servers.granted().length, { interval: 20 }).toBe(300)
    // Of the consumer: a broker of 2.9 that is killed may forget that it has taken out what was acknowledged, and keeps it for nobody.
    const { consumers } = await jetstreamManager(await own.connect())
    const waiting = () => consumers.info(natsSubjects(prefix).streams.commands, worker.consumers[0] as string)
    await expect.poll(waiting).toMatchObject({ num_pending: 0, num_ack_pending: 0 })
    expect(servers.effects().length).toBe(300)
    expect(worker.figures()).toMatchObject({ applied: 300, dead: 0, failed: 0 })
  })

  test('without a quorum nothing is taken on and nothing is lost; with it the worker goes on', async () => {
    const cluster = await startCluster()
    onTestFinished(async () => void (await Promise.all(cluster.map((one) => one.stop()))))
    const [here, ...others] = cluster as [NatsServer, NatsServer, NatsServer]
    const nats = await here.connect()
    const slow = { timeout: 100_000, interval: 500 }
    await expect
      .poll(
        () =>
          setUpNats(nats, { prefix: 'q', replicas: 3 }).then(
            () => 'there',
            (error) => error.code,
          ),
        slow,
      )
      .toBe('there')
    const desk = await deskOn(await here.connect(), 'q')
    const servers = fakeServers()
    const worker = await running({ prefix: 'q', handler: servers, ackWaitMs: 1000 }, here)
    const granted = async (command: ReturnType<typeof commandOf>): Promise<Result> => {
      await expect
        .poll(
          () =>
            desk.send(command, { timeout: 2000 }).then(
              () => 'sent',
              () => 'not sent',
            ),
          slow,
        )
        .toBe('sent')
      return desk.answer(command.id)
    }
    expect(await granted(commandOf({ deadline: null, replyTo: desk.replyTo }))).toMatchObject({ status: 'ok' })
    await Promise.all(others.map((one) => one.down()))
    const lost = commandOf({ connectionId: 'c2', epoch: 2, deadline: null, replyTo: desk.replyTo })
    await expect(desk.send(lost, { timeout: 2000 })).rejects.toThrow()
    expect(servers.granted.size).toBe(1)
    await Promise.all(others.map((one) => one.start()))
    expect(await granted(lost)).toMatchObject({ serverId: 'de-1', code: null })
    expect([...servers.granted.keys()]).toEqual(['de-1/c1', 'de-1/c2'])
    expect(new Set(servers.calls)).toEqual(new Set(['grant de-1/c1 1.1', 'grant de-1/c2 1.2']))
    expect(worker.figures()).toMatchObject({ dead: 0, stale: 0 })
  }, 500_000)

  test('a stream that is wiped with its broker is made again, and told', async () => {
    await using own = await startNats()
    const { prefix, desk, servers } = await scene(own)
    const relay = await relayTo(own.port)
    onTestFinished(() => relay.close())
    const nats = await own.connect({ servers: `127.0.0.1:${relay.port}` })
    const worker = await running({ prefix, handler: servers, nats })
    expect(await desk.ask({})).toMatchObject({ status: 'ok' })
    // The worker comes back when there is somebody to hear what it tells.
    relay.turn('down')
    await own.restart({ wiped: true })
    await expect
      .poll(() =>
        desk.nats.flush().then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    relay.turn('up')
    await expect.poll(() => desk.events.map(({ type }) => type)).toContain('stream.made_again')
    expect(await desk.ask({ epoch: 2 })).toMatchObject({ status: 'ok' })
    expect(worker.figures()).toMatchObject({ applied: 2 })
  })

  test('a consumer that is deleted is made again, and told; what waits in the stream is not lost', async () => {
    const { prefix, desk, servers } = await scene()
    const worker = await running({ prefix, handler: servers })
    expect(await desk.ask({})).toMatchObject({ status: 'ok' })
    const manager = await jetstreamManager(await server.connect())
    await manager.consumers.delete(natsSubjects(prefix).streams.commands, worker.consumers[0] as string)
    expect(await desk.ask({ connectionId: 'c2' })).toMatchObject({ status: 'ok' })
    expect(desk.events.map(({ type }) => type)).toContain('consumer.made_again')
  })

  test('a stream that is full refuses what is new, and keeps all that waits', async () => {
    const nats = await server.connect()
    await setUpNats(nats, { prefix: 'full', commandBytes: 1024 * 1024 })
    const desk = await deskOn(nats, 'full')
    const failures: unknown[] = []
    let kept = 0
    for (let index = 0; failures.length === 0; index++) {
      const command = commandOf({ type: 'access.revoke', connectionId: `c${index}`, payload: 'x'.repeat(60_000), deadline: null })
      await desk.send(command, { timeout: 60_000 }).then(
        () => (kept += 1),
        (error) => failures.push(error),
      )
    }
    expect(natsFailure(failures[0], 'publishing')).toMatchObject({ code: 'unavailable', message: expect.stringMatching(/is full/) })
    expect(await desk.waiting()).toBe(kept)
    const servers = fakeServers()
    const worker = await running({ prefix: 'full', handler: servers })
    await expect.poll(desk.waiting).toBe(0)
    expect(worker.figures().applied).toBe(kept)
    await desk.send(commandOf())
  })

  test('an hour without its region: what has a deadline is refused, revokes without one are done', async () => {
    const { prefix, desk, servers } = await scene()
    const now = Date.now()
    const late = [
      commandOf({ connectionId: 'late', issuedAt: now, deadline: now + 200, replyTo: desk.replyTo }),
      commandOf({ type: 'access.revoke', connectionId: 'gone', issuedAt: now, deadline: null, replyTo: desk.replyTo }),
    ]
    for (const command of late) await desk.send(command)
    // The broker's own clock has to pass the deadline: that is what is tested.
    const keptAt = Date.now()
    await expect.poll(() => Date.now() - keptAt).toBeGreaterThan(400)
    const worker = await running({ prefix, handler: servers })
    expect(await desk.answer(late[0]?.id as string)).toMatchObject({ status: 'rejected', code: 'EXPIRED' })
    expect(await desk.answer(late[1]?.id as string)).toMatchObject({ status: 'ok' })
    expect([servers.effects(), worker.figures().expired]).toEqual([['revoke de-1/gone 1.1'], 1])
  })

  test.each([
    ['the worker five minutes ahead', 300_000, 0],
    ['the worker five minutes behind', -300_000, 0],
    ['the sender five minutes ahead', 0, 300_000],
    ['the sender five minutes behind', 0, -300_000],
    ['both, in opposite directions', 300_000, -300_000],
  ])('with %s, a fresh command is done and one that waited too long is not', async (_, workerAhead, senderAhead) => {
    const { prefix, desk, servers } = await scene()
    const issuedAt = Date.now() + senderAhead
    const old = commandOf({ connectionId: 'old', issuedAt, deadline: issuedAt + 100, replyTo: desk.replyTo })
    await desk.send(old)
    const until = Date.now() + 300
    await expect.poll(() => Date.now()).toBeGreaterThan(until)
    const clock: Clock = { now: () => systemClock.now() + workerAhead, setTimeout: systemClock.setTimeout }
    await running({ prefix, handler: servers, clock })
    expect(await desk.answer(old.id)).toMatchObject({ status: 'rejected', code: 'EXPIRED' })
    const fresh = Date.now() + senderAhead
    expect(await desk.ask({ issuedAt: fresh, deadline: fresh + 120_000 })).toMatchObject({ status: 'ok' })
    expect(servers.granted()).toEqual(['de-1/c1'])
  })

  test('poison, forgeries and replays on the wire: each refused and kept or answered, and nobody loses access', async () => {
    const { prefix, desk } = await scene()
    const servers = fakeServers()
    const worker = await running({ prefix, handler: servers })
    expect(await desk.ask({ epoch: 5 })).toMatchObject({ status: 'ok' })
    const stream = jetstream(await server.connect())
    const subjects = natsSubjects(prefix)
    const here = subjects.command('de', 'de-1')
    const forged = (asked: Asked): Uint8Array =>
      encodeCommand(commandOf({ type: 'access.revoke', epoch: 99, replyTo: desk.replyTo, ...asked }))
    const poison: readonly [string, Uint8Array | string, string][] = [
      [here, '{"v":1', 'MALFORMED'],
      [here, Uint8Array.of(0, 255), 'MALFORMED'],
      [here, '', 'MALFORMED'],
      [here, 'x'.repeat(262_145), 'OVERSIZED'],
      [here, JSON.stringify({ ...commandOf(), v: 2 }), 'UNKNOWN_VERSION'],
      [here, forged({ region: 'nl' }), 'FORGED'],
      [here, forged({ serverId: 'de-2' }), 'FORGED'],
      [here, forged({ replyTo: '$JS.API.STREAM.PURGE.T_CMD' }), 'FORGED'],
      [`${prefix}.cmd.de.de-1.more`, forged({}), 'FORGED'],
      [`${prefix}.cmd.de.%64e-1`, forged({}), 'FORGED'],
    ]
    for (const [subject, data] of poison) await stream.publish(subject, typeof data === 'string' ? bytesOf(data) : data)
    await expect.poll(() => worker.figures().dead).toBe(poison.length)
    for (const epoch of [5, 4, 1]) await desk.send(commandOf({ type: 'access.revoke', epoch, replyTo: desk.replyTo }))
    await expect.poll(() => worker.figures().stale).toBe(3)
    await expect.poll(desk.waiting).toBe(0)
    expect([...servers.granted.keys()]).toEqual(['de-1/c1'])
    expect(worker.figures().deadBy).toEqual({ MALFORMED: 3, OVERSIZED: 1, UNKNOWN_VERSION: 1, FORGED: 5 })

    const letters = await (await jetstream(await server.connect()).consumers.get(subjects.streams.dead)).fetch({
      max_messages: poison.length,
      expires: 60_000,
    })
    const reasons: string[] = []
    for await (const letter of letters) reasons.push(letter.json<{ readonly reason: string }>().reason)
    expect(reasons).toEqual(poison.map(([, , reason]) => reason))
    expect(desk.results.filter(({ code }: Result) => code === 'FORGED').length).toBe(4)
  })

  test('a dead letter that cannot be kept stays a command', async () => {
    const { prefix, desk, servers } = await scene()
    const nats = await server.connect()
    const manager = await jetstreamManager(nats)
    await manager.streams.delete(natsSubjects(prefix).streams.dead)
    const worker = await running({ prefix, handler: servers, book: memoryBook() })
    await jetstream(nats).publish(`${prefix}.cmd.de.de-1`, bytesOf('{'))
    await expect.poll(() => worker.figures().dead).toBeGreaterThan(0)
    expect(await desk.ask({})).toMatchObject({ status: 'ok' })
    // It is answered before it is taken out.
    await expect.poll(desk.waiting).toBe(1)
  })

  test('when a worker stops, another gets what it had at once', async () => {
    const { prefix, desk, servers } = await scene()
    const untilAborted: typeof servers.grant = (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    const first = await running({ prefix, ackWaitMs: 60_000, concurrency: 1, handler: { ...servers, grant: untilAborted } })
    const sent = ['c1', 'c2', 'c3'].map((connectionId) => commandOf({ connectionId, replyTo: desk.replyTo }))
    for (const command of sent) await desk.send(command)
    await expect.poll(() => first.figures().inFlight).toBe(3)
    const second = await running({ prefix, ackWaitMs: 60_000, handler: servers })
    await first.stop(0)
    await first.ended
    for (const { id } of sent) expect(await desk.answer(id)).toMatchObject({ status: 'ok' })
    expect(second.figures().applied).toBe(3)
  })
})
