import type { ConnectionInput } from '@pintail/core'
import { type AccessBook, type AccessBooks, type HomeChange, memoryAccess } from '../../../packages/adapters/src/access/index.ts'
import type { Process } from '../../../packages/core/src/testing/sim/process.ts'
import type { World } from '../../../packages/core/src/testing/sim/world.ts'

/** Hears when the books name another home. */
export type HomeWitness = (change: HomeChange, isNew: boolean) => void

/**
 * The host's books of a world: one database for all engines. What the host itself does to its users stands in the world's
 * own truth, and is read into the books before anybody looks; what engines do stands in both.
 */
export class VirtualBooks {
  readonly book: AccessBooks = memoryAccess()
  readonly #world: World
  readonly #witness: HomeWitness
  /** A mutant: nobody tells what was only tried from what is to be. */
  readonly #blursAttempts: boolean
  #turn: Promise<unknown> = Promise.resolve()

  constructor(world: World, witness: HomeWitness, blursAttempts: boolean) {
    this.#world = world
    this.#witness = witness
    this.#blursAttempts = blursAttempts
  }

  /** As one process sees it: an answer may be its last, and may be lost. */
  of(process: Process): AccessBook {
    const call =
      <Args extends unknown[], T>(name: string, work: (...args: Args) => PromiseLike<T>) =>
      (...args: Args): Promise<T> =>
        process.call(async () => {
          const world = this.#world
          world.calls++
          await world.wait(0.5 + world.random() * 5)
          if (name === 'look' && world.strikes('mover.fails_locate')) throw new Error('no connection to the database')
          const answer = await this.#alone(() => work(...args))
          if (name !== 'look' && world.strikes('mover.fails_unclearly', 0.3)) throw new Error('the database has not answered')
          return answer
        })
    const { book } = this
    return {
      look: call('look', (id, ctx) => this.#read(id).then(() => book.look(id, ctx))),
      want: call('want', (want, ctx) => this.#read(want.connectionId).then(() => book.want(want, ctx))),
      setHome: call('setHome', async (change, ctx) => {
        await this.#read(change.connectionId)
        const before = await book.homeOf(change.connectionId)
        const outcome = await book.setHome(change, ctx)
        if (outcome === 'set') this.#witness(change, before !== change.to)
        return outcome
      }),
      forget: call('forget', (serverId, gone, ctx) => book.forget(serverId, gone, ctx)),
      rowsOn: call('rowsOn', async (serverId, page, ctx) => {
        for (const { id } of this.#world.users.values()) await this.#read(id)
        const rows = await book.rowsOn(serverId, page, ctx)
        return this.#blursAttempts ? rows.map((row) => ({ ...row, isTentative: false })) : rows
      }),
      servers: call('servers', (ctx) => this.#readServers().then(() => book.servers(ctx))),
      fence: call('fence', (token, ctx) => book.fence(token, ctx)),
    }
  }

  /** One after the other, as rows that are locked. */
  #alone<T>(work: () => PromiseLike<T>): Promise<T> {
    const run = this.#turn.then(work)
    this.#turn = run.catch(() => {})
    return run
  }

  async #readServers(): Promise<void> {
    const known = new Set((await this.book.servers({ signal: new AbortController().signal })).map(({ id }) => id))
    for (const { id, row, gone } of this.#world.servers.values())
      if (gone) {
        if (known.has(id)) await this.book.removeServer(id)
      } else if (!known.has(id)) await this.book.putServer({ ...row, region: row.region ?? 'none' })
  }

  async #read(id: string): Promise<void> {
    await this.#readServers()
    const user = this.#world.users.get(id)
    const home = await this.book.homeOf(id)
    if (!user || user.gone) {
      if (home !== null) await this.book.remove(id)
      return
    }
    const server = this.#world.servers.get(user.home)
    if (home !== user.home && server && !server.gone) await this.book.assign(user.row as ConnectionInput, user.home, { id })
  }
}
