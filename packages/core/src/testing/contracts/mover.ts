import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { isPintailError } from '../../errors.ts'
import type { CallContext, ConnectionInput, ConnectionMover, Located, ServerInput } from '../../ports.ts'
import { type Parsed, parseConnection, parseServer } from '../../rows.ts'
import type { Connection, Move, Server, Token } from '../../vocabulary.ts'
import {
  type Attempt,
  abortCall,
  attempt,
  type Bench,
  type ContractRule,
  frozen,
  type Kit,
  type KitOptions,
  shown,
  type Troubles,
  toRules,
} from './rule.ts'

type Awaitable<T> = T | PromiseLike<T>
type Id = string | number

/** A mover with a small world that nobody else changes, and the truth behind it. */
export interface MoverHarness extends Troubles {
  readonly mover: ConnectionMover
  /** Two servers, as the registry would list them; `to` has room for everybody. */
  readonly from: ServerInput
  readonly to: ServerInput
  /** At least three, all on `from`, as the registry would list them. */
  readonly connections: readonly ConnectionInput[]
  /** The truth, read past the mover: the id of the server that the panel's books name as home; null: no such connection. */
  homeOf(connection: Id): Awaitable<Id | null>
  /** The truth: the server of each access that the connection has now, one entry an access. */
  grantsOf?(connection: Id): Awaitable<readonly Id[]>
  /** The host moves a connection itself, past the mover. */
  assign?(connection: Id, server: Id): unknown
  /** A third server, for the host's own moves. */
  readonly other?: ServerInput
  /** A connection on `from` that the panel refuses to move. */
  readonly refused?: ConnectionInput
  /** A connection that does not exist. Default: the first one, with an id that nobody has and without meta. */
  readonly nobody?: ConnectionInput
  /** The server `from` dies, while the panel lives: Pintail's main job. */
  sourceDies?(): unknown
}

/**
 * Optional parts: of the mover (its methods, and `fencing: 'enforced'`), of the harness, and `keyMemory`: whether a key
 * that has had its effect is known for good. Where neither panel nor adapter can remember keys, say so with
 * `without: ['keyMemory']`: then a call repeated after the host's own move overrides the host.
 */
export type MoverExtra =
  | 'prepare'
  | 'complete'
  | 'locate'
  | 'verify'
  | 'rollback'
  | 'moveMany'
  | 'fencing'
  | 'keyMemory'
  | 'grantsOf'
  | 'assign'
  | 'other'
  | 'refused'
  | 'sourceDies'
  | 'goDown'
  | 'fallSilent'

/**
 * What every mover must do. `create` makes a fresh adapter with a fresh world for each rule.
 *
 * About keys: one key has at most one effect, and a call that resolves tells the truth. Repeating a key therefore
 * resolves while the connection is still where the key has brought it. If the host has moved it since, the call must
 * neither move it again (the host's word wins) nor resolve (it is not on the target): it rejects, best with `rejected`.
 * @example for (const rule of connectionMoverContract(create, { without: ['moveMany'] })) test(rule.name, rule.run)
 */
export function connectionMoverContract(create: () => Awaitable<MoverHarness>, options: KitOptions<MoverExtra> = {}): ContractRule[] {
  return toRules(kit, create, options)
}

const kit: Kit<MoverHarness, MoverExtra> = {
  has: (harness, extra) => {
    switch (extra) {
      case 'keyMemory':
        return null
      case 'fencing':
        return harness.mover.fencing === 'enforced'
      case 'goDown':
      case 'fallSilent':
        return harness[extra] !== undefined && harness.comeBack !== undefined
      case 'grantsOf':
      case 'assign':
      case 'other':
      case 'refused':
      case 'sourceDies':
        return harness[extra] !== undefined
      default:
        return harness.mover[extra] !== undefined
    }
  },
  rules: [
    {
      name: 'the world of the harness can tell right from wrong',
      run: async (harness) => {
        const { from, to, connections } = harness
        assert.ok(connections.length >= 3, 'give it at least three connections')
        assert.equal(new Set([from, to, ...(harness.other ? [harness.other] : [])].map(({ id }) => String(id))).size, harness.other ? 3 : 2)
        for (const { id } of connections) await isHome(harness, id, from)
        if (harness.refused) await isHome(harness, harness.refused.id, from)
      },
    },
    {
      name: 'confirmation, granularity and fencing are words that Pintail knows',
      run: async ({ mover }) => {
        assert.ok([undefined, 'accepted', 'applied', 'seen'].includes(mover.confirmation), `confirmation is ${mover.confirmation}`)
        assert.ok([undefined, 'connection', 'server'].includes(mover.granularity), `granularity is ${mover.granularity}`)
        assert.ok([undefined, 'enforced', 'none'].includes(mover.fencing), `fencing is ${mover.fencing}`)
      },
    },

    // -------------------------------------------------------------------------------------------------------- move, keys
    {
      name: 'a move that resolved has made the target the home, and moved nobody else',
      run: async (harness, { ctx }) => {
        const [one, ...others] = harness.connections
        await harness.mover.move(moveOf(harness, one), ctx)
        await isHome(harness, one?.id, harness.to)
        for (const { id } of others) await isHome(harness, id, harness.from)
      },
    },
    {
      name: 'the same key again resolves and is still one move',
      run: async (harness, { ctx }) => {
        const [one, ...others] = harness.connections
        const move = moveOf(harness, one)
        for (let times = 0; times < 3; times++) {
          await harness.mover.move(move, ctx)
          await isHome(harness, one?.id, harness.to)
        }
        for (const { id } of others) await isHome(harness, id, harness.from)
      },
    },
    {
      name: 'the same key again grants nothing twice',
      needs: ['grantsOf'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        await harness.mover.move(move, ctx)
        assert.equal(await grantsOn(harness, move.connection.id, harness.to), 1, 'accesses on the target')
      },
    },
    {
      name: 'the same key twice at once is one move',
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        const ends = await Promise.all([0, 1].map(() => attempt(() => harness.mover.move(move, ctx))))
        assert.ok(
          ends.some(({ ok }) => ok),
          `neither resolved: ${said(ends[0])}`,
        )
        await isHome(harness, move.connection.id, harness.to)
        if (harness.grantsOf) assert.equal(await grantsOn(harness, move.connection.id, harness.to), 1, 'accesses on the target')
      },
    },
    {
      name: 'many moves at once all arrive',
      run: async (harness, { ctx }) => {
        await Promise.all(harness.connections.map((one) => harness.mover.move(moveOf(harness, one), ctx)))
        for (const { id } of harness.connections) await isHome(harness, id, harness.to)
      },
    },
    {
      name: 'a used key moves nobody whom the host has brought back since, and does not resolve',
      needs: ['assign', 'keyMemory'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        await harness.assign?.(move.connection.rawId, harness.from.id)
        await isHome(harness, move.connection.id, harness.from)
        const end = await attempt(() => harness.mover.move(move, ctx))
        await isHome(harness, move.connection.id, harness.from)
        assert.ok(!end.ok, 'it resolved, which says that the connection is on the target')
        // A new attempt is a new key, and moves.
        await harness.mover.move(moveOf(harness, harness.connections[0], { attempt: 2 }), ctx)
        await isHome(harness, move.connection.id, harness.to)
      },
    },
    {
      name: 'a connection that the host has meanwhile moved elsewhere stays there, and the move does not resolve',
      needs: ['assign', 'other'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.assign?.(move.connection.rawId, harness.other?.id ?? '')
        const end = await attempt(() => harness.mover.move(move, ctx))
        await isHome(harness, move.connection.id, harness.other)
        assert.ok(!end.ok, 'it resolved, which says that the connection is on the target')
      },
    },

    // ------------------------------------------------------------------------------------------------------------ errors
    {
      name: 'what the panel refuses rejects with `rejected`, and stays where it was',
      needs: ['refused'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.refused)
        for (let times = 0; times < 2; times++) {
          isError(await attempt(() => harness.mover.move(move, ctx)), 'rejected')
          await isHome(harness, move.connection.id, harness.from)
        }
        await harness.mover.move(moveOf(harness, harness.connections[0]), ctx)
        await isHome(harness, harness.connections[0]?.id, harness.to)
      },
    },
    {
      name: 'a connection that does not exist rejects with `rejected`, and comes not into being',
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, nobody(harness))
        isError(await attempt(() => harness.mover.move(move, ctx)), 'rejected')
        assert.equal(await harness.homeOf(move.connection.rawId), null)
      },
    },
    {
      name: 'a target that does not exist gets nobody',
      run: async (harness, { ctx }) => {
        const id = typeof harness.to.id === 'number' ? 1_999_999_937 : 'no-such-server'
        const to = { ...harness.to, id, host: '192.0.2.1', name: 'nowhere', meta: null }
        const end = await attempt(() => harness.mover.move(moveOf(harness, harness.connections[0], { to }), ctx))
        await isHome(harness, harness.connections[0]?.id, harness.from)
        assert.ok(!end.ok, 'the move resolved')
      },
    },
    {
      name: 'a panel that cannot be reached is `unavailable`: nothing happened, and the same key moves later',
      needs: ['goDown'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.goDown?.()
        isError(await attempt(() => harness.mover.move(move, ctx)), 'unavailable')
        await harness.comeBack?.()
        await isHome(harness, move.connection.id, harness.from)
        await harness.mover.move(move, ctx)
        await isHome(harness, move.connection.id, harness.to)
      },
    },
    {
      name: 'a move without an answer settles soon after its abort, is neither `rejected` nor `unavailable`, and may be repeated',
      needs: ['fallSilent'],
      run: async (harness, { ctx, promptMs }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.fallSilent?.()
        const end = await abortCall('move', (aborted) => harness.mover.move(move, aborted), { promptMs, afterMs: 100 })
        // It may have happened: to say that it has not would leave the user with two accesses, or with a wrong plan.
        assert.ok(!end.ok, 'it resolved without an answer of the panel')
        for (const code of ['rejected', 'unavailable'] as const)
          assert.ok(!isPintailError(end.error, code), `it says '${code}', but the panel had the request: any other error is ambiguous`)
        await harness.comeBack?.()
        await harness.mover.move(move, ctx)
        await isHome(harness, move.connection.id, harness.to)
        if (harness.grantsOf) assert.equal(await grantsOn(harness, move.connection.id, harness.to), 1, 'accesses on the target')
      },
    },
    {
      name: 'an aborted move settles soon, and the same key brings it to its end',
      run: async (harness, { ctx, promptMs }) => {
        for (const [index, afterMs] of (['beforehand', 0] as const).entries()) {
          const move = moveOf(harness, harness.connections[index])
          const end = await abortCall('move', (aborted) => harness.mover.move(move, aborted), { promptMs, afterMs })
          if (end.ok) await isHome(harness, move.connection.id, harness.to)
          else if (isPintailError(end.error, 'unavailable')) await isHome(harness, move.connection.id, harness.from)
          await harness.mover.move(move, ctx)
          await isHome(harness, move.connection.id, harness.to)
        }
      },
    },
    {
      name: 'users leave a source that is dead',
      needs: ['sourceDies'],
      run: async (harness, { ctx }) => {
        await harness.sourceDies?.()
        const move = moveOf(harness, harness.connections[0], { sourceAlive: false })
        await harness.mover.move(move, ctx)
        await isHome(harness, move.connection.id, harness.to)
      },
    },
    {
      name: 'a living source keeps its access until complete',
      needs: ['grantsOf', 'complete'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        assert.ok((await grantsOn(harness, move.connection.id, harness.from)) >= 1, 'the access on the source is gone before complete')
        assert.equal(await grantsOn(harness, move.connection.id, harness.to), 1, 'accesses on the target')
      },
    },

    // ------------------------------------------------------------------------------------------------------------ locate
    {
      name: 'locate tells where the connection is, and changes nothing',
      needs: ['locate'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await located(harness, move, ['on_source'], ctx)
        await isHome(harness, move.connection.id, harness.from)
        await harness.mover.move(move, ctx)
        // Until `complete` both servers may know the user.
        await located(harness, move, harness.mover.complete ? ['on_target', 'on_both'] : ['on_target'], ctx)
        await isHome(harness, move.connection.id, harness.to)
        await located(harness, moveOf(harness, harness.connections[1]), ['on_source'], ctx)
      },
    },
    {
      name: 'locate answers absent for a connection that does not exist',
      needs: ['locate'],
      run: async (harness, { ctx }) => located(harness, moveOf(harness, nobody(harness)), ['absent'], ctx),
    },
    {
      name: 'locate answers absent for a connection that the host has moved elsewhere',
      needs: ['locate', 'assign', 'other'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.assign?.(move.connection.rawId, harness.other?.id ?? '')
        await located(harness, move, ['absent'], ctx)
      },
    },
    {
      name: 'locate sees the host’s own moves',
      needs: ['locate', 'assign'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.assign?.(move.connection.rawId, harness.to.id)
        await located(harness, move, ['on_target', 'on_both'], ctx)
      },
    },
    {
      name: 'locate throws while it cannot know: unavailable is not absent',
      needs: ['locate', 'goDown'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.goDown?.()
        const end = await attempt(() => harness.mover.locate?.(move, ctx))
        assert.ok(!end.ok, `it answered ${end.ok && end.value} while the panel was down`)
        await harness.comeBack?.()
        await located(harness, move, ['on_source'], ctx)
      },
    },
    {
      name: 'locate settles a move that had no answer',
      needs: ['locate', 'fallSilent'],
      run: async (harness, { ctx, promptMs }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.fallSilent?.()
        await abortCall('move', (aborted) => harness.mover.move(move, aborted), { promptMs, afterMs: 100 })
        await harness.comeBack?.()
        const home = String(await harness.homeOf(move.connection.rawId))
        const expected: readonly Located[] = home === String(harness.to.id) ? ['on_target', 'on_both'] : ['on_source']
        await located(harness, move, expected, ctx)
      },
    },

    // ------------------------------------------------------------------------------------------------------------ verify
    {
      name: 'verify is true on the target, and not before',
      needs: ['verify'],
      run: async (harness, { ctx, timeoutMs }) => {
        const move = moveOf(harness, harness.connections[0])
        assert.equal(await harness.mover.verify?.(move, ctx), false, 'before the move')
        await harness.mover.move(move, ctx)
        const waitMs = timeoutMs * 0.8
        const until = Date.now() + waitMs
        let usable = await harness.mover.verify?.(move, ctx)
        // What is applied on the server may take a moment to be usable.
        while (!usable && Date.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, 50))
          usable = await harness.mover.verify?.(move, ctx)
        }
        assert.equal(usable, true, `${waitMs} ms after the move`)
      },
    },
    {
      name: 'verify is not true while it cannot know',
      needs: ['verify', 'goDown'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        await harness.goDown?.()
        const end = await attempt(() => harness.mover.verify?.(move, ctx))
        assert.ok(!end.ok || end.value === false, 'it said true while the panel was down')
      },
    },

    // ---------------------------------------------------------------------------------------------------------- rollback
    {
      name: 'rollback brings the connection home, may be repeated, and a new attempt moves again',
      needs: ['rollback'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        for (let times = 0; times < 2; times++) {
          await harness.mover.rollback?.(move, ctx)
          await isHome(harness, move.connection.id, harness.from)
          if (harness.grantsOf) assert.equal(await grantsOn(harness, move.connection.id, harness.to), 0, 'accesses on the target')
        }
        await harness.mover.move(moveOf(harness, harness.connections[0], { attempt: 2 }), ctx)
        await isHome(harness, move.connection.id, harness.to)
      },
    },
    {
      name: 'rollback of a move that never happened is harmless',
      needs: ['rollback'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.rollback?.(move, ctx)
        for (const { id } of harness.connections) await isHome(harness, id, harness.from)
      },
    },
    {
      name: 'rollback leaves a connection alone that the host has moved elsewhere',
      needs: ['rollback', 'assign', 'other'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        await harness.assign?.(move.connection.rawId, harness.other?.id ?? '')
        await attempt(() => harness.mover.rollback?.(move, ctx))
        await isHome(harness, move.connection.id, harness.other)
      },
    },
    {
      name: 'rollback does not resolve while the panel cannot be reached',
      needs: ['rollback', 'goDown'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        await harness.goDown?.()
        const end = await attempt(() => harness.mover.rollback?.(move, ctx))
        assert.ok(!end.ok, 'it resolved, which says that the access on the target is gone')
        await harness.comeBack?.()
        await harness.mover.rollback?.(move, ctx)
        await isHome(harness, move.connection.id, harness.from)
      },
    },

    // ------------------------------------------------------------------------------------------------- prepare, complete
    {
      name: 'prepare may be repeated, and moves nobody',
      needs: ['prepare'],
      run: async (harness, { ctx }) => {
        const { from, to } = moveOf(harness, harness.connections[0])
        await harness.mover.prepare?.(from, to, ctx)
        await harness.mover.prepare?.(from, to, ctx)
        for (const { id } of harness.connections) await isHome(harness, id, harness.from)
        await harness.mover.move(moveOf(harness, harness.connections[0]), ctx)
        await isHome(harness, harness.connections[0]?.id, harness.to)
      },
    },
    {
      name: 'complete leaves the connection on the target, and may be repeated',
      needs: ['complete'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        for (let times = 0; times < 2; times++) {
          await harness.mover.complete?.(move, ctx)
          await isHome(harness, move.connection.id, harness.to)
        }
        for (const { id } of harness.connections.slice(1)) await isHome(harness, id, harness.from)
      },
    },
    {
      name: 'complete takes back the access on the source, and only that',
      needs: ['complete', 'grantsOf'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        await harness.mover.complete?.(move, ctx)
        assert.equal(await grantsOn(harness, move.connection.id, harness.from), 0, 'accesses on the source')
        assert.equal(await grantsOn(harness, move.connection.id, harness.to), 1, 'accesses on the target')
      },
    },
    {
      name: 'a late complete does not take the access of a connection that has come home since',
      needs: ['complete'],
      run: async (harness, { ctx }) => {
        const away = moveOf(harness, harness.connections[0])
        await harness.mover.move(away, ctx)
        await harness.mover.move(moveOf(harness, harness.connections[0], { from: harness.to, to: harness.from }), ctx)
        await isHome(harness, away.connection.id, harness.from)
        await attempt(() => harness.mover.complete?.(away, ctx))
        await isHome(harness, away.connection.id, harness.from)
        if (harness.grantsOf) assert.ok((await grantsOn(harness, away.connection.id, harness.from)) >= 1, 'the access at home is gone')
      },
    },
    {
      name: 'complete does not resolve while the panel cannot be reached',
      needs: ['complete', 'goDown'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        await harness.goDown?.()
        const end = await attempt(() => harness.mover.complete?.(move, ctx))
        assert.ok(!end.ok, 'it resolved, which says that the access on the source is gone')
        await harness.comeBack?.()
        await harness.mover.complete?.(move, ctx)
        await isHome(harness, move.connection.id, harness.to)
      },
    },
    ...(['locate', 'verify', 'rollback', 'complete'] as const).map((method) => ({
      name: `${method} without an answer settles soon after its abort`,
      needs: [method, 'fallSilent'] as const,
      run: async (harness: MoverHarness, { ctx, promptMs }: Bench) => {
        const move = moveOf(harness, harness.connections[0])
        await harness.mover.move(move, ctx)
        await harness.fallSilent?.()
        const call = (aborted: CallContext) => harness.mover[method]?.(move, aborted) as PromiseLike<unknown>
        const end = await abortCall(method, call, { promptMs, afterMs: 50 })
        assert.ok(!end.ok || end.value === false, `it resolved without an answer of the panel: ${said(end)}`)
      },
    })),

    // ----------------------------------------------------------------------------------------------------------- fencing
    {
      name: 'enforced fencing refuses a token lower than one that the target has seen, with `fenced`',
      needs: ['fencing'],
      run: async (harness, { ctx }) => {
        const [first, second, third] = harness.connections
        await harness.mover.move(moveOf(harness, first, { token: 7 }), ctx)
        isError(await attempt(() => harness.mover.move(moveOf(harness, second, { token: 6 }), ctx)), 'fenced')
        await isHome(harness, second?.id, harness.from)
        for (const [one, token] of [
          [second, 7],
          [third, 8],
        ] as const) {
          await harness.mover.move(moveOf(harness, one, { token }), ctx)
          await isHome(harness, one?.id, harness.to)
        }
      },
    },
    {
      name: 'enforced fencing refuses a grant that was held up and arrives after its own rollback, with `fenced`',
      needs: ['fencing', 'rollback'],
      run: async (harness, { ctx }) => {
        const [one, other] = harness.connections
        const late = moveOf(harness, one)
        await harness.mover.rollback?.({ ...late, epoch: ++epochs }, ctx)
        isError(await attempt(() => harness.mover.move(late, ctx)), 'fenced')
        await isHome(harness, one?.id, harness.from)
        if (harness.grantsOf) assert.equal(await grantsOn(harness, late.connection.id, harness.to), 0, 'accesses on the target')
        // What is newer goes on, for this connection and for others; a newer leader begins to count anew.
        await harness.mover.move({ ...late, epoch: ++epochs }, ctx)
        await isHome(harness, one?.id, harness.to)
        await harness.mover.move({ ...moveOf(harness, other, { token: 2 }), epoch: 1 }, ctx)
        await isHome(harness, other?.id, harness.to)
      },
    },
    {
      name: 'enforced fencing refuses a rollback that was held up and arrives after a newer grant, with `fenced`',
      needs: ['fencing', 'rollback'],
      run: async (harness, { ctx }) => {
        const move = moveOf(harness, harness.connections[0])
        const late = { ...move, epoch: ++epochs }
        await harness.mover.move(move, ctx)
        await harness.mover.move({ ...move, epoch: ++epochs }, ctx)
        isError(await attempt(() => harness.mover.rollback?.(late, ctx)), 'fenced')
        await isHome(harness, move.connection.id, harness.to)
        // The token counts before the epoch.
        isError(await attempt(() => harness.mover.move(moveOf(harness, harness.connections[0], { token: 0, attempt: 2 }), ctx)), 'fenced')
        await isHome(harness, move.connection.id, harness.to)
      },
    },

    // ---------------------------------------------------------------------------------------------------------- moveMany
    {
      name: 'moveMany gives one outcome for each move, in order, and each is true',
      needs: ['moveMany'],
      run: async (harness, { ctx }) => {
        const [first, second] = harness.connections
        const moves = [moveOf(harness, first), moveOf(harness, nobody(harness)), moveOf(harness, second)]
        for (let times = 0; times < 2; times++) {
          const outcomes = (await harness.mover.moveMany?.(moves, ctx)) ?? []
          assert.deepEqual(
            outcomes.map(({ ok }) => ok),
            [true, false, true],
          )
          const [, refused] = outcomes
          assert.ok(refused?.ok === false && isPintailError(refused.error, 'rejected'), 'the second is not `rejected`')
          for (const one of [first, second]) await isHome(harness, one?.id, harness.to)
        }
        await isHome(harness, harness.connections[2]?.id, harness.from)
      },
    },
  ],
}

// --------------------------------------------------------------------------------------------------------------- looking

function parsed<T>(what: string, result: Parsed<T>): T {
  const problems = result.ok ? '' : result.problems.map(({ path, message }) => `${path} ${message}`).join('; ')
  assert.ok(result.ok, `${what} of the harness does not parse: ${problems}`)
  return result.value
}

/** As the engine counts: each move that is made here is newer than the one before. */
let epochs = 0

interface Turn {
  readonly from?: ServerInput
  readonly to?: ServerInput
  readonly attempt?: number
  readonly token?: number
  readonly sourceAlive?: boolean
}

/** A move as the engine would make it, frozen, with a key that nobody has used. */
function moveOf(harness: MoverHarness, input: ConnectionInput | undefined, turn: Turn = {}): Move {
  const { from = harness.from, to = harness.to, attempt = 1, token = 1, sourceAlive = true } = turn
  const connection: Connection = parsed('a connection', parseConnection(input as ConnectionInput))
  const server = (row: ServerInput): Server => parsed('a server', parseServer(row))
  return frozen({
    key: `${randomUUID()}/${connection.id}/${attempt}`,
    connection,
    from: server(from),
    to: server(to),
    reason: 'server-down',
    attempt,
    fencingToken: token as Token,
    epoch: ++epochs,
    sourceAlive,
  })
}

function nobody({ nobody, connections }: MoverHarness): ConnectionInput {
  if (nobody) return nobody
  const [first] = connections as readonly [ConnectionInput, ...ConnectionInput[]]
  return { ...first, id: typeof first.id === 'number' ? 1_999_999_937 : 'no-such-connection', meta: null }
}

/** Asks with the id as the harness itself gave it: its books may know numbers only. */
async function isHome(harness: MoverHarness, connection: Id | undefined, server: ServerInput | undefined): Promise<void> {
  const known = [...harness.connections, ...(harness.refused ? [harness.refused] : [])]
  const id = known.find((one) => String(one.id) === String(connection))?.id ?? connection ?? ''
  const home = await harness.homeOf(id)
  assert.equal(home === null ? 'nowhere' : String(home), String(server?.id), `the home of ${id}`)
}

async function grantsOn(harness: MoverHarness, connection: Id, server: ServerInput): Promise<number> {
  const id = harness.connections.find((one) => String(one.id) === String(connection))?.id ?? connection
  const grants = (await harness.grantsOf?.(id)) ?? []
  return grants.filter((one) => String(one) === String(server.id)).length
}

const said = (end: Attempt<unknown> | undefined): string => (end?.ok === false ? shown(end.error) : `resolved with ${String(end?.value)}`)

function isError(end: Attempt<unknown>, code: 'rejected' | 'unavailable' | 'fenced'): void {
  assert.ok(!end.ok && isPintailError(end.error, code), `it must reject with PintailError('${code}'); it ended: ${said(end)}`)
}

async function located({ mover }: MoverHarness, move: Move, expected: readonly Located[], ctx: CallContext): Promise<void> {
  const answer = (await mover.locate?.(move, ctx)) as Located
  assert.ok(expected.includes(answer), `it answered ${answer}; the truth is ${expected.join(' or ')}`)
}
