import { expect, test } from 'vitest'
import { memoryMover, memoryRegistry, PintailError } from '../../index.ts'
import type { CallContext, ConnectionMover, Located, MoveOutcome } from '../../ports.ts'
import type { Move } from '../../vocabulary.ts'
import { connectionMoverContract, type MoverHarness } from './index.ts'

const [a, b, c] = [
  { id: 'a', host: '192.0.2.1' },
  { id: 'b', host: '192.0.2.2' },
  { id: 3, host: '192.0.2.3' },
] as const
const users = [{ id: 1 }, { id: 2, meta: { key: 'k2' } }, { id: 'three', region: 'eu' }]
const locked = { id: 'locked' }

// ------------------------------------------------------------------------------------------------------ the memory adapter

const ofMemory = connectionMoverContract(
  () => {
    const registry = memoryRegistry({ servers: [a, b, c], connections: { a: users } })
    const assign = (id: string | number, server: string | number) => registry.assign({ id }, server)
    return { mover: memoryMover(registry), from: a, to: b, other: c, connections: users, homeOf: registry.homeOf, assign }
  },
  { without: ['prepare', 'complete', 'verify', 'moveMany', 'grantsOf', 'refused', 'sourceDies', 'goDown', 'fallSilent'] },
)
for (const rule of ofMemory) test(`memoryMover: ${rule.name}`, rule.run)

// ----------------------------------------------------------------------------------------- a mover that has everything

/** A panel behind a network, and a good mover for it with every method: `spoil` may make it a bad one. */
class Panel {
  readonly homes = new Map<string, string>()
  readonly grants = new Map<string, string[]>()
  readonly keys = new Set<string>()
  readonly tokens = new Map<string, number>()
  readonly newest = new Map<string, readonly [token: number, epoch: number]>()
  state: 'up' | 'down' | 'silent' = 'up'
  sourceDead = false

  constructor() {
    for (const { id } of [...users, locked]) this.assign(String(id), 'a')
  }

  assign(id: string, server: string): void {
    this.homes.set(id, server)
    this.grants.set(id, [server])
  }

  async call<T>({ signal }: CallContext, work: () => T): Promise<T> {
    await new Promise((resolve) => setTimeout(resolve, 1))
    if (this.state === 'down') throw new PintailError('unavailable', 'connection refused')
    const answer = work()
    if (this.state === 'up') return answer
    return new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }

  admit({ connection, to, fencingToken, epoch }: Move): void {
    if (fencingToken < (this.tokens.get(to.id) ?? 0)) throw new PintailError('fenced', 'a newer leader has been here')
    this.tokens.set(to.id, fencingToken)
    const [token, newest] = this.newest.get(connection.id) ?? [0, 0]
    if (fencingToken === token && epoch < newest) throw new PintailError('fenced', 'a newer call has been here')
    this.newest.set(connection.id, [fencingToken, epoch])
  }

  move(move: Move): void {
    const { key, connection, from, to } = move
    const { id } = connection
    const home = this.homes.get(id)
    this.admit(move)
    if (home === undefined || id === locked.id || ![a, b, c].some((server) => String(server.id) === to.id))
      throw new PintailError('rejected', 'refused')
    if (this.keys.has(key) && home === to.id) return
    if (this.keys.has(key) || home !== from.id) throw new PintailError('rejected', `it is on ${home} now`)
    this.keys.add(key)
    this.homes.set(id, to.id)
    this.grants.set(id, [...new Set([...(this.grants.get(id) ?? []), to.id])])
  }

  revoke(id: string, server: string): void {
    this.grants.set(
      id,
      (this.grants.get(id) ?? []).filter((one) => one !== server),
    )
  }
}

type Full = { -readonly [K in keyof ConnectionMover]-?: ConnectionMover[K] & {} }

function moverOf(panel: Panel): Full {
  const whereIs = ({ connection, from, to }: Move): Located => {
    const home = panel.homes.get(connection.id)
    return home === to.id ? 'on_target' : home === from.id ? 'on_source' : 'absent'
  }
  return {
    granularity: 'connection',
    confirmation: 'applied',
    fencing: 'enforced',
    prepare: (_from, _to, ctx) => panel.call(ctx, () => {}),
    move: (move, ctx) => panel.call(ctx, () => panel.move(move)),
    moveMany: (moves, ctx) =>
      panel.call(ctx, () =>
        moves.map((move): MoveOutcome => {
          try {
            panel.move(move)
            return { ok: true }
          } catch (error) {
            return { ok: false, error: error as PintailError }
          }
        }),
      ),
    locate: (move, ctx) => panel.call(ctx, () => whereIs(move)),
    verify: (move, ctx) => panel.call(ctx, () => whereIs(move) === 'on_target'),
    rollback: (move, ctx) =>
      panel.call(ctx, () => {
        panel.admit(move)
        if (whereIs(move) !== 'on_target') return
        panel.assign(move.connection.id, move.from.id)
      }),
    complete: (move, ctx) =>
      panel.call(ctx, () => {
        if (panel.homes.get(move.connection.id) !== move.from.id) panel.revoke(move.connection.id, move.from.id)
      }),
  }
}

type Spoil = (parts: { readonly panel: Panel; readonly mover: Full; readonly good: Full }) => void

function full(spoil: Spoil = () => {}): MoverHarness {
  const panel = new Panel()
  const mover = moverOf(panel)
  spoil({ panel, mover, good: { ...mover } })
  return {
    mover,
    from: a,
    to: b,
    other: c,
    connections: users,
    refused: locked,
    homeOf: (id) => panel.homes.get(String(id)) ?? null,
    grantsOf: (id) => panel.grants.get(String(id)) ?? [],
    assign: (id, server) => panel.assign(String(id), String(server)),
    sourceDies: () => {
      panel.sourceDead = true
    },
    goDown: () => {
      panel.state = 'down'
    },
    fallSilent: () => {
      panel.state = 'silent'
    },
    comeBack: () => {
      panel.state = 'up'
    },
  }
}

for (const rule of connectionMoverContract(full)) test(`a mover with everything: ${rule.name}`, rule.run)

// --------------------------------------------------------------------------------------------------- deliberately wrong ones

const wrong: Record<string, { spoil: Spoil; caughtBy: string }> = {
  'resolves before it has moved': {
    spoil: ({ mover, good }) => {
      mover.move = async (move, ctx) => void setTimeout(() => void Promise.resolve(good.move(move, ctx)).catch(() => {}), 20)
    },
    caughtBy: 'a move that resolved has made the target the home, and moved nobody else',
  },
  'moves everybody on the server': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) => {
        await good.move(move, ctx)
        for (const [id, home] of panel.homes) if (home === move.from.id) panel.assign(id, move.to.id)
      }
    },
    caughtBy: 'a move that resolved has made the target the home, and moved nobody else',
  },
  'takes itself for the source when called again': {
    spoil: ({ mover, panel }) => {
      mover.move = ({ connection, from, to }, ctx) =>
        panel.call(ctx, () => panel.assign(connection.id, panel.homes.get(connection.id) === to.id ? from.id : to.id))
    },
    caughtBy: 'the same key again resolves and is still one move',
  },
  'refuses a key that it knows': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) => {
        if (panel.keys.has(move.key)) throw new PintailError('rejected', 'done before')
        await good.move(move, ctx)
      }
    },
    caughtBy: 'the same key again resolves and is still one move',
  },
  'makes one more access with each call': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) => {
        await good.move(move, ctx)
        const { id } = move.connection
        if (panel.keys.has(`${move.key} again`)) panel.grants.get(id)?.push(move.to.id)
        panel.keys.add(`${move.key} again`)
      }
    },
    caughtBy: 'the same key again grants nothing twice',
  },
  'looks, waits and then acts, twice at once': {
    spoil: ({ mover, panel }) => {
      mover.move = async (move, ctx) => {
        const known = panel.keys.has(move.key)
        await panel.call(ctx, () => {})
        if (known) return
        panel.keys.add(move.key)
        panel.homes.set(move.connection.id, move.to.id)
        panel.grants.get(move.connection.id)?.push(move.to.id)
      }
    },
    caughtBy: 'the same key twice at once is one move',
  },
  'loses a move while another is under way': {
    spoil: ({ mover, panel, good }) => {
      let busy = false
      mover.move = async (move, ctx) => {
        if (busy) return
        busy = true
        await panel.call(ctx, () => {})
        await good.move(move, ctx)
        busy = false
      }
    },
    caughtBy: 'many moves at once all arrive',
  },
  'forgets its keys': {
    spoil: ({ mover, panel, good }) => {
      mover.move = (move, ctx) => {
        panel.keys.clear()
        return good.move(move, ctx)
      }
    },
    caughtBy: 'a used key moves nobody whom the host has brought back since, and does not resolve',
  },
  'says done for a used key, wherever the user is': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) => (panel.keys.has(move.key) ? undefined : good.move(move, ctx))
    },
    caughtBy: 'a used key moves nobody whom the host has brought back since, and does not resolve',
  },
  'does not look where the user is': {
    spoil: ({ mover, panel }) => {
      mover.move = ({ connection, to }, ctx) => panel.call(ctx, () => panel.assign(connection.id, to.id))
    },
    caughtBy: 'a connection that the host has meanwhile moved elsewhere stays there, and the move does not resolve',
  },
  'throws a bare Error for a refusal': {
    spoil: ({ mover, good }) => {
      mover.move = async (move, ctx) => {
        await Promise.resolve(good.move(move, ctx)).catch((error) => {
          throw new Error(error.message)
        })
      }
    },
    caughtBy: 'what the panel refuses rejects with `rejected`, and stays where it was',
  },
  'logs a refusal and goes on': {
    spoil: ({ mover, good }) => {
      mover.move = async (move, ctx) => void (await Promise.resolve(good.move(move, ctx)).catch(() => {}))
    },
    caughtBy: 'what the panel refuses rejects with `rejected`, and stays where it was',
  },
  'makes a user that does not exist': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) =>
        panel.homes.has(move.connection.id) ? good.move(move, ctx) : panel.call(ctx, () => panel.assign(move.connection.id, move.to.id))
    },
    caughtBy: 'a connection that does not exist rejects with `rejected`, and comes not into being',
  },
  'moves to a server that nobody has': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) =>
        ['a', 'b', '3'].includes(move.to.id) ? good.move(move, ctx) : panel.call(ctx, () => panel.assign(move.connection.id, move.to.id))
    },
    caughtBy: 'a target that does not exist gets nobody',
  },
  'says rejected for a panel that is down': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) => {
        if (panel.state === 'down') throw new PintailError('rejected', 'no panel')
        await good.move(move, ctx)
      }
    },
    caughtBy: 'a panel that cannot be reached is `unavailable`: nothing happened, and the same key moves later',
  },
  'says unavailable for every abort': {
    spoil: ({ mover, good }) => {
      mover.move = (move, ctx) =>
        Promise.resolve(good.move(move, ctx)).catch((error) => {
          if (ctx.signal.aborted) throw new PintailError('unavailable', 'timed out')
          throw error
        })
    },
    caughtBy: 'a move without an answer settles soon after its abort, is neither `rejected` nor `unavailable`, and may be repeated',
  },
  'does not look at the signal': {
    spoil: ({ mover, good }) => {
      mover.move = (move) => good.move(move, { signal: new AbortController().signal })
    },
    caughtBy: 'a move without an answer settles soon after its abort, is neither `rejected` nor `unavailable`, and may be repeated',
  },
  'notes the key before it has moved': {
    spoil: ({ mover, panel, good }) => {
      const begun = new Set<string>()
      mover.move = async (move, ctx) => {
        if (begun.has(move.key)) return
        begun.add(move.key)
        ctx.signal.throwIfAborted()
        await panel.call(ctx, () => {})
        await good.move(move, ctx)
      }
    },
    caughtBy: 'an aborted move settles soon, and the same key brings it to its end',
  },
  'asks the dead source first': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) => {
        if (panel.sourceDead) throw new Error('EHOSTUNREACH')
        await good.move(move, ctx)
      }
    },
    caughtBy: 'users leave a source that is dead',
  },
  'takes the old access away with the move': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) => {
        await good.move(move, ctx)
        panel.revoke(move.connection.id, move.from.id)
      }
    },
    caughtBy: 'a living source keeps its access until complete',
  },
  'locates from its own memory': {
    spoil: ({ mover, panel }) => {
      mover.locate = async (move) => (panel.keys.has(move.key) ? 'on_target' : 'on_source')
    },
    caughtBy: 'locate sees the host’s own moves',
  },
  'locates nobody on the source': {
    spoil: ({ mover }) => {
      mover.locate = async () => 'on_source'
    },
    caughtBy: 'locate answers absent for a connection that does not exist',
  },
  'locates on the source whoever is not on the target': {
    spoil: ({ mover, panel, good }) => {
      mover.locate = async (move, ctx) =>
        panel.homes.has(move.connection.id) && (await good.locate(move, ctx)) === 'absent' ? 'on_source' : good.locate(move, ctx)
    },
    caughtBy: 'locate answers absent for a connection that the host has moved elsewhere',
  },
  'turns an unreachable panel into absent': {
    spoil: ({ mover, good }) => {
      mover.locate = (move, ctx) => Promise.resolve(good.locate(move, ctx)).catch((): Located => 'absent')
    },
    caughtBy: 'locate throws while it cannot know: unavailable is not absent',
  },
  'answers before the panel does': {
    spoil: ({ mover, panel, good }) => {
      mover.locate = async (move, ctx) => (panel.keys.has(move.key) ? 'on_source' : good.locate(move, ctx))
    },
    caughtBy: 'locate settles a move that had no answer',
  },
  'verifies everything': {
    spoil: ({ mover }) => {
      mover.verify = async () => true
    },
    caughtBy: 'verify is true on the target, and not before',
  },
  'takes no answer for a good one': {
    spoil: ({ mover, good }) => {
      mover.verify = (move, ctx) => Promise.resolve(good.verify(move, ctx)).catch(() => true)
    },
    caughtBy: 'verify is not true while it cannot know',
  },
  'rolls back by moving the other way, whoever moved since': {
    spoil: ({ mover, panel }) => {
      mover.rollback = (move, ctx) => panel.call(ctx, () => panel.assign(move.connection.id, move.from.id))
    },
    caughtBy: 'rollback leaves a connection alone that the host has moved elsewhere',
  },
  'leaves the access on the target when it rolls back': {
    spoil: ({ mover, panel }) => {
      mover.rollback = (move, ctx) => panel.call(ctx, () => void panel.homes.set(move.connection.id, move.from.id))
    },
    caughtBy: 'rollback brings the connection home, may be repeated, and a new attempt moves again',
  },
  'rolls back once only': {
    spoil: ({ mover, panel, good }) => {
      mover.rollback = async (move, ctx) => {
        if (!panel.keys.delete(move.key)) throw new PintailError('rejected', 'nothing to undo')
        await good.rollback(move, ctx)
      }
    },
    caughtBy: 'rollback of a move that never happened is harmless',
  },
  'swallows a rollback that failed': {
    spoil: ({ mover, good }) => {
      mover.rollback = (move, ctx) => Promise.resolve(good.rollback(move, ctx)).catch(() => {})
    },
    caughtBy: 'rollback does not resolve while the panel cannot be reached',
  },
  'makes the target ready by emptying the source': {
    spoil: ({ mover, panel }) => {
      mover.prepare = (from, to, ctx) =>
        panel.call(ctx, () => {
          for (const [id, home] of panel.homes) if (home === from.id) panel.assign(id, to.id)
        })
    },
    caughtBy: 'prepare may be repeated, and moves nobody',
  },
  'completes by deleting the user': {
    spoil: ({ mover, panel }) => {
      mover.complete = (move, ctx) => panel.call(ctx, () => void panel.homes.delete(move.connection.id))
    },
    caughtBy: 'complete leaves the connection on the target, and may be repeated',
  },
  'completes nothing': {
    spoil: ({ mover, panel }) => {
      mover.complete = (_move, ctx) => panel.call(ctx, () => {})
    },
    caughtBy: 'complete takes back the access on the source, and only that',
  },
  'revokes on the source, also when the user is home again': {
    spoil: ({ mover, panel }) => {
      mover.complete = (move, ctx) => panel.call(ctx, () => panel.revoke(move.connection.id, move.from.id))
    },
    caughtBy: 'a late complete does not take the access of a connection that has come home since',
  },
  'does not wait for the revoke': {
    spoil: ({ mover, good }) => {
      mover.complete = async (move, ctx) => void Promise.resolve(good.complete(move, ctx)).catch(() => {})
    },
    caughtBy: 'complete does not resolve while the panel cannot be reached',
  },
  'hangs in complete': {
    spoil: ({ mover, good }) => {
      mover.complete = (move) => good.complete(move, { signal: new AbortController().signal })
    },
    caughtBy: 'complete without an answer settles soon after its abort',
  },
  'claims fencing and does not look at the token': {
    spoil: ({ mover, panel, good }) => {
      mover.move = (move, ctx) => {
        panel.tokens.clear()
        return good.move(move, ctx)
      }
    },
    caughtBy: 'enforced fencing refuses a token lower than one that the target has seen, with `fenced`',
  },
  'refuses a token that is not higher': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) => {
        if (move.fencingToken === panel.tokens.get(move.to.id)) throw new PintailError('fenced', 'seen before')
        await good.move(move, ctx)
      }
    },
    caughtBy: 'enforced fencing refuses a token lower than one that the target has seen, with `fenced`',
  },
  'looks at the token and not at the epoch': {
    spoil: ({ mover, panel, good }) => {
      mover.move = (move, ctx) => {
        panel.newest.clear()
        return good.move(move, ctx)
      }
    },
    caughtBy: 'enforced fencing refuses a grant that was held up and arrives after its own rollback, with `fenced`',
  },
  'compares epochs of different leaders': {
    spoil: ({ mover, panel, good }) => {
      mover.move = async (move, ctx) => {
        if ([...panel.newest.values()].some(([, epoch]) => move.epoch < epoch)) throw new PintailError('fenced', 'an old epoch')
        await good.move(move, ctx)
      }
    },
    caughtBy: 'enforced fencing refuses a grant that was held up and arrives after its own rollback, with `fenced`',
  },
  'lets every rollback through': {
    spoil: ({ mover, panel, good }) => {
      mover.rollback = (move, ctx) => {
        panel.newest.clear()
        return good.rollback(move, ctx)
      }
    },
    caughtBy: 'enforced fencing refuses a rollback that was held up and arrives after a newer grant, with `fenced`',
  },
  'leaves refusals out of the outcomes': {
    spoil: ({ mover, good }) => {
      mover.moveMany = async (moves, ctx) => (await good.moveMany(moves, ctx)).filter(({ ok }) => ok)
    },
    caughtBy: 'moveMany gives one outcome for each move, in order, and each is true',
  },
  'says ok for all of many': {
    spoil: ({ mover, good }) => {
      mover.moveMany = async (moves, ctx) => (await good.moveMany(moves, ctx)).map((): MoveOutcome => ({ ok: true }))
    },
    caughtBy: 'moveMany gives one outcome for each move, in order, and each is true',
  },
  'changes the move that it is given': {
    spoil: ({ mover, good }) => {
      mover.move = async (move, ctx) => {
        Object.assign(move, { attempt: 2 })
        await good.move(move, ctx)
      }
    },
    caughtBy: 'a move that resolved has made the target the home, and moved nobody else',
  },
  'confirms in words of its own': {
    spoil: ({ mover }) => void Object.assign(mover, { confirmation: 'done' }),
    caughtBy: 'confirmation, granularity and fencing are words that Pintail knows',
  },
}

test.for(Object.entries(wrong))('a mover that %s is caught', async ([, { spoil, caughtBy }]) => {
  const rules = connectionMoverContract(() => full(spoil), { promptMs: 200, timeoutMs: 4000 })
  const rule = rules.find(({ name }) => name === caughtBy)
  await expect(rule?.run()).rejects.toThrow()
})

// ------------------------------------------------------------------------------------------------------------- keyMemory

const forgetful: Spoil = ({ mover, panel, good }) => {
  mover.move = (move, ctx) => {
    panel.keys.clear()
    return good.move(move, ctx)
  }
}
const named = (rules: ReturnType<typeof connectionMoverContract>) => rules.find(({ notChecked }) => notChecked === 'no keyMemory')

test('a mover that can remember no keys may say so, and then must really not', async () => {
  await named(connectionMoverContract(() => full(forgetful), { without: ['keyMemory'] }))?.run()
  await expect(named(connectionMoverContract(full, { without: ['keyMemory'] }))?.run()).rejects.toThrow(/the rule holds after all/)
})
