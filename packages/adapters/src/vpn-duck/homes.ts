import type { CallContext, Clock, Logger } from '@pintail/core'
import { errorText, PintailError } from '@pintail/core'
import { untilAborted } from '../http/waiting.ts'
import { type DuckApi, isRouteMissing } from './api.ts'
import { Bounded } from './bounded.ts'
import type { MoveLedger, OwnWord } from './ledger.ts'
import { byUser, type DuckConfiguration, type DuckSession, isNews, newest, type Seen, seenNothing, seenOf } from './rows.ts'
import { Together } from './together.ts'

/** Where a user is assigned, as far as VPN Duck lets anybody know. */
export type Home =
  | {
      readonly at: 'server'
      readonly server: string
      /** We have moved him, and he has been seen on the source again since: brought back, or an old file. */
      readonly isContested: boolean
      readonly configuration: DuckConfiguration | null
    }
  /** He has no active configuration: there is nothing to move. */
  | { readonly at: 'nowhere' }
  | { readonly at: 'unknown'; readonly why: string }

/** And what was seen of him meanwhile. */
export type Found = Home & { readonly seen: Seen }

interface Verified {
  readonly server: string | null
  /** Of the peer that he had there when VPN Duck made it. */
  readonly publicKey: string | null
  readonly at: number
}

/** Fleets up to this size are looked through as a whole for one user's newest row. */
const searchable = 100
/** How long a configuration that was read counts, milliseconds. */
const verifiedForMs = 600_000
/** A listing spends at most this long on reading configurations, milliseconds. */
const verifyWithinMs = 3000
const verifyAtOnce = 16
/** How long somebody whom we have moved counts on his new server without having been seen there, milliseconds. */
const expectedForMs = 3_600_000

/**
 * Where users live. VPN Duck has two tables: `configurations` says where a user is assigned, and is what a move changes;
 * `active_connections` says where he was seen, and is what can be listed. A moved user therefore stays in the list of
 * the server that he has left, for an hour in v1 and for ever in v2.
 *
 * v1 tells a user's configuration (`GET /config/{user}`), and that is believed. v2 tells it from another table than the
 * one that a move changes, so it only shows who has none; there the newest row of `active_connections` on any server
 * counts, and before it what this process itself has done, or an earlier one by its ledger.
 */
export class Homes {
  readonly #api: DuckApi
  readonly #clock: Clock
  readonly #logger: Logger | undefined
  readonly #ledger: MoveLedger | null
  readonly #own = new Bounded<number, OwnWord>(200_000)
  readonly #verified = new Bounded<number, Verified>(200_000)
  readonly #sessions: Together<string, readonly DuckSession[]>
  #servers: readonly string[] = []
  /** How many configurations v2 has told, and whether somebody has been warned that it tells none. */
  #witnessed = 0
  #isMute = false

  constructor(api: DuckApi, clock: Clock, logger: Logger | undefined, ledger: MoveLedger | null = null) {
    this.#api = api
    this.#clock = clock
    this.#logger = logger
    this.#ledger = ledger
    for (const [user, word] of ledger?.read() ?? []) this.#own.set(user, word)
    const forAll = { signal: new AbortController().signal }
    this.#sessions = new Together(async (server) => (await api.sessions(server, forAll)).sessions)
  }

  /** The servers of the last list. */
  know(servers: readonly string[]): void {
    this.#servers = servers
  }

  /** A move is about to be called: kept before it, because after a crash nobody else knows of it. Undoes that when called. */
  intend(user: number, from: string, to: string, seen: Seen): () => void {
    if (!this.#ledger) return () => {}
    const before = this.#own.get(user)
    this.#ledger.write(user, { from, to, seen, at: this.#clock.now(), isAnswered: false })
    // Nothing has happened: what was known before is so still, or that he is where he was.
    return () => this.#keep(user, before ?? { from, to: from, seen, at: this.#clock.now(), isAnswered: true })
  }

  /** `isTold`: VPN Duck has answered with his new configuration, which needs no second look. */
  moved(user: number, from: string, to: string, seen: Seen, isTold: boolean): void {
    const at = this.#clock.now()
    this.#say(user, { from, to, seen, at, isAnswered: true })
    if (isTold) this.#verified.set(user, { server: to, publicKey: null, at })
    else this.#verified.delete(user)
  }

  /** A move had no answer: until something shows where he is, nobody knows. */
  unclear(user: number, from: string, to: string, seen: Seen): void {
    this.#own.set(user, { from, to, seen, at: this.#clock.now(), isAnswered: false })
    this.#verified.delete(user)
  }

  #say(user: number, word: OwnWord): void {
    this.#own.set(user, word)
    this.#keep(user, word)
  }

  /** After a call: whatever became of it counts, and a ledger that fails must not hide it. */
  #keep(user: number, word: OwnWord): void {
    try {
      this.#ledger?.write(user, word)
    } catch (error) {
      // What was kept before the move says that it is not known: after a crash it is made once more, and changes nothing.
      this.#logger?.warn({ err: errorText(error) }, 'the ledger of moves cannot be written')
    }
  }

  /** A move of which nobody knows whether it counts. */
  unclearMove(user: number): OwnWord | null {
    const word = this.#own.get(user)
    return word && !word.isAnswered ? word : null
  }

  /**
   * Where this user is assigned now; `relevant` servers are asked about him in any case.
   * @throws whatever the service's failure is: not knowing because it cannot be reached is not `unknown`
   */
  async of(user: number, relevant: readonly string[], ctx: CallContext): Promise<Found> {
    const { dialect } = await this.#api.spoken(ctx)
    if (dialect === 'v1')
      try {
        const configuration = await this.#api.configuration(user, ctx)
        this.#verify(user, configuration)
        if (configuration === null) return { at: 'nowhere', seen: seenNothing }
        const { server } = configuration
        if (server !== null) return { at: 'server', server, isContested: false, configuration, seen: seenNothing }
      } catch (error) {
        if (!isRouteMissing(error)) throw error
      }
    return this.#bySessions(user, relevant, ctx)
  }

  #verify(user: number, configuration: DuckConfiguration | null): void {
    const { server = null, publicKey = null } = configuration ?? {}
    // A move changes the server of a configuration and not its key: of whom we have moved the key is another server's.
    const isOld = this.#own.get(user)?.to === server
    this.#verified.set(user, { server, publicKey: isOld ? null : publicKey, at: this.#clock.now() })
  }

  /** The key of the peer that the user has where he lives, if VPN Duck has told it. */
  publicKeyOf(user: number): string | null {
    return this.#verified.get(user)?.publicKey ?? null
  }

  async #bySessions(user: number, relevant: readonly string[], ctx: CallContext): Promise<Found> {
    const rows = (await this.#search(relevant, ctx)).filter(({ userId }) => userId === user)
    const seen = seenOf(rows)
    const own = this.#own.get(user)
    const server = judge(own, rows)
    if (server !== null) {
      const isContested =
        own?.isAnswered === true && server === own.to && rows.some((row) => row.server === own.from && isNews(row, own.seen))
      return { at: 'server', server, isContested, configuration: null, seen }
    }
    if (own) return { at: 'unknown', why: 'the last move had no answer, and he has been seen nowhere since', seen }
    const { dialect } = await this.#api.spoken(ctx)
    if (dialect === 'v2' && (await this.hasNone(user, ctx))) return { at: 'nowhere', seen }
    return { at: 'unknown', why: 'he is in no list of connections, and lists name only who has been seen lately', seen }
  }

  /** The rows of all servers, or of the relevant ones where there are too many; lists that fail beside those are left out. */
  async #search(relevant: readonly string[], { signal }: CallContext): Promise<readonly DuckSession[]> {
    const others = this.#servers.length <= searchable ? this.#servers.filter((server) => !relevant.includes(server)) : []
    const lists = await untilAborted(
      Promise.all([
        ...relevant.map((server) => this.#sessions.get(server)),
        ...others.map((server) => this.#sessions.get(server).catch(() => [])),
      ]),
      signal,
    )
    return lists.flat()
  }

  /**
   * v2's success for a user without a configuration looks like any other, so he is looked for first. That it knows
   * nobody is believed only of a service that has known somebody: in some installations the table it reads is empty.
   */
  async hasNone(user: number, ctx: CallContext): Promise<boolean> {
    if (this.#isMute) return false
    try {
      if ((await this.#api.configuration(user, ctx)) !== null) {
        this.#witnessed++
        return false
      }
      if (this.#witnessed > 0) return true
      return await this.#isWitness(ctx)
    } catch (error) {
      if (!isRouteMissing(error)) throw error
      this.#isMute = true
      return false
    }
  }

  /** Asks for others, because one user whom it does not know says nothing about the service. */
  async #isWitness(ctx: CallContext): Promise<boolean> {
    const users = [...byUser(await this.#search([], ctx)).keys()]
    const step = Math.max(1, Math.floor(users.length / 64))
    for (let index = 0; index < users.length && this.#witnessed === 0; index += step)
      if ((await this.#api.configuration(users[index] as number, ctx)) !== null) this.#witnessed++
    if (this.#witnessed > 0) return true
    this.#isMute = true
    this.#logger?.warn({}, 'VPN Duck tells nobody’s configuration: whether a move had any effect cannot be found out')
    return false
  }

  /** Of the users listed on a server those who live there, and those who are expected there though they are not listed. */
  async residents(server: string, ctx: CallContext): Promise<{ sessions: DuckSession[]; expected: number[]; unreadable: number }> {
    const [{ dialect }, listed] = await Promise.all([this.#api.spoken(ctx), this.#api.sessions(server, ctx)])
    const users = byUser(listed.sessions)
    const sessions = dialect === 'v1' ? await this.#verifyAll(server, users, ctx) : await this.#notElsewhere(server, users, ctx)
    const present = new Set(sessions.map(({ userId }) => userId))
    const since = this.#clock.now() - expectedForMs
    const expected: number[] = []
    for (const [user, { to, at, isAnswered }] of this.#own.entries())
      if (isAnswered && to === server && at >= since && !present.has(user) && this.#believed(user, server)) expected.push(user)
    return { sessions, expected, unreadable: listed.unreadable }
  }

  /** Not somebody of whom v1 has told since that he lives elsewhere. */
  #believed(user: number, server: string): boolean {
    const verified = this.#verified.get(user)
    return !verified || verified.server === server
  }

  async #notElsewhere(server: string, users: ReadonlyMap<number, DuckSession[]>, ctx: CallContext): Promise<DuckSession[]> {
    const elsewhere = byUser((await this.#search([], ctx)).filter((row) => row.server !== server))
    return [...users].flatMap(([user, rows]) => {
      const all = [...rows, ...(elsewhere.get(user) ?? [])]
      const own = this.#own.get(user)
      // Of whom nobody knows whether he has been moved counts as not moved: moving him again changes nothing.
      const home = judge(own, all) ?? own?.from
      return home === server ? [newest(rows) as DuckSession] : []
    })
  }

  /** Reads the configurations that are not known, within the time; who could not be read counts as living where he is listed. */
  async #verifyAll(server: string, users: ReadonlyMap<number, DuckSession[]>, ctx: CallContext): Promise<DuckSession[]> {
    const now = this.#clock.now()
    const unknown = [...users.keys()].filter((user) => !((this.#verified.get(user)?.at ?? Number.NEGATIVE_INFINITY) > now - verifiedForMs))
    const next = async (): Promise<void> => {
      for (let user = unknown.pop(); user !== undefined; user = unknown.pop()) {
        if (this.#clock.now() > now + verifyWithinMs) return
        const configuration = await this.#api.configuration(user, ctx)
        this.#verify(user, configuration)
      }
    }
    try {
      await Promise.all(Array.from({ length: verifyAtOnce }, next))
    } catch (error) {
      unknown.length = 0
      ctx.signal.throwIfAborted()
      if (!isRouteMissing(error))
        this.#logger?.debug(
          { server, err: errorText(error) },
          'VPN Duck: not every configuration could be read; its list of connections is taken as it is',
        )
    }
    return [...users].flatMap(([user, rows]) => {
      const verified = this.#verified.get(user)
      const own = this.#own.get(user)
      const home = verified ? verified.server : own?.isAnswered ? own.to : server
      return home === server ? [newest(rows) as DuckSession] : []
    })
  }
}

/** Our own word, unless he has connected elsewhere since; null: nothing tells. */
function judge(own: OwnWord | undefined, rows: readonly DuckSession[]): string | null {
  if (!own) return newest(rows)?.server ?? null
  // A client that still has its old file goes on connecting to the source: that says nothing about where he is assigned.
  const news = newest(rows.filter((row) => isNews(row, own.seen) && (row.server !== own.from || !own.isAnswered)))
  return news?.server ?? (own.isAnswered ? own.to : null)
}

export function notKnown(user: number, why: string): PintailError {
  return new PintailError('unavailable', `VPN Duck: where user ${user} is assigned is not known: ${why}`, {
    remedy: 'Nothing to do: the move is repeated, which changes nothing if it has happened.',
  })
}
