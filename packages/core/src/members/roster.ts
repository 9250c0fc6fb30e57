import { type Books, kindFor, type ServerBook } from '../books/books.ts'
import { ownerOf } from '../detect/share.ts'
import type { Clock, Lease, SampleInput } from '../ports.ts'
import type { Share } from '../rounds/monitor.ts'
import type { Body } from './body.ts'
import { postEveryMs, type Role } from './exchange.ts'

/** From a member that has posted nothing for so long no check is expected any more, milliseconds. */
const silentMs = 5 * postEveryMs
/** So long it stays among the vantages that are told of, milliseconds. */
const goneMs = 60_000
/** Suspects that all are asked to look at, at once. */
const mostAsked = 100

interface Member {
  readonly vantage: string
  /** As its host has named it: engines of one name stand in one place. */
  readonly place: string
  readonly region: string | null
  readonly postedAt: number
}

interface RosterParts {
  readonly books: Books
  readonly clock: Clock
  readonly lease: Lease
  readonly since: number
  /** Whether a vantage elsewhere counts, whether our own does, and whether one has seen a server up just now. */
  readonly witness: () => {
    isHealthy(vantage: string): boolean
    isBlind(): boolean
    isSeenUp(book: ServerBook, vantage: string): boolean
  }
  readonly observations: () => { take(sample: SampleInput): void }
}

/**
 * The leader's view of the engines that stand by: each is a vantage, and they share the steady checks of their region with it.
 * A server is left to another engine only while that one's fresh word is `up` and nobody says otherwise, so that whatever a
 * member does or fails to do, no server is looked at by nobody for longer than its silence takes to be noticed.
 */
export class Roster implements Role, Share {
  readonly #parts: RosterParts
  readonly #members = new Map<string, Member>()
  /** Who shares the steady checks of our own region; ids. */
  #sharers: readonly string[] = []

  constructor(parts: RosterParts) {
    this.#parts = parts
  }

  reads(): boolean {
    return true
  }

  isUrgent(): boolean {
    return this.#members.size > 0 && this.#suspects(1).length > 0
  }

  take(from: string, { vantage, region, leaves, samples }: Body): void {
    const { clock, books } = this.#parts
    const observations = this.#parts.observations()
    const known = this.#members.get(from)
    if (leaves) this.#members.delete(from)
    else this.#members.set(from, { vantage: known?.vantage ?? this.#nameFor(from, vantage), place: vantage, region, postedAt: clock.now() })
    if (leaves !== !known || known?.region !== region) this.#tell()
    const name = this.#members.get(from)?.vantage
    // A new leader has no list yet when it reads what was left for the former one.
    if (name === undefined || books.listedAt === 0) return
    // What a host has handed to that engine keeps the name that the host gave it.
    for (const sample of samples)
      observations.take(sample?.vantage === vantage && name !== books.own.name ? { ...sample, vantage: name } : sample)
  }

  /** Engines that were never given a name are all called the same. */
  #nameFor(from: string, vantage: string): string {
    const { own, policy } = this.#parts.books
    const taken = vantage === own.name || [...this.#members.values()].some((one) => one.vantage === vantage)
    return taken && !Object.hasOwn(policy.detect.vantages, vantage) ? `${vantage.slice(0, 80)}@${from.slice(-12)}` : vantage
  }

  #tell(): void {
    this.#parts.books.places.members = Object.fromEntries(
      [...this.#members.values()].map(({ vantage, place, region }) => [vantage, { place, ...(region !== null && { region }) }]),
    )
  }

  body(): Body | null {
    const { books, clock, lease, since } = this.#parts
    const witness = this.#parts.witness()
    const now = clock.now()
    for (const [id, { postedAt }] of this.#members) {
      if (now - postedAt <= goneMs) continue
      this.#members.delete(id)
      this.#tell()
    }
    const { name, region } = books.own
    const counted = [...this.#members].filter(([, one]) => now - one.postedAt <= silentMs && witness.isHealthy(one.vantage))
    const others = counted.map(([id, one]) => ({ id, region: one.region }))
    const members = witness.isBlind() ? others : [{ id: lease.holder, region }, ...others]
    this.#sharers = others.some((one) => one.region === region) ? members.filter((one) => one.region === region).map(({ id }) => id) : []
    if (this.#members.size === 0) return null
    const lead = { token: lease.token, since, members, look: this.#suspects(mostAsked) }
    return { version: 1, vantage: name, region, leaves: false, lead, samples: [] }
  }

  #suspects(most: number): string[] {
    const found: string[] = []
    for (const [id, book] of this.#parts.books.servers) {
      if (book.detector.verdict !== 'suspect' && kindFor(book, null) !== 'suspect') continue
      found.push(id)
      if (found.length >= most) break
    }
    return found
  }

  // ------------------------------------------------------------------------------------------------------------- share

  isShared(): boolean {
    return this.#sharers.length > 0
  }

  isOurs(book: ServerBook): boolean {
    if (!this.isShared()) return true
    const { lease, clock } = this.#parts
    const owner = ownerOf(book.server.id, this.#sharers)
    const member = owner === null || owner === lease.holder ? undefined : this.#members.get(owner)
    if (!member || clock.now() - member.postedAt > silentMs) return true
    return !this.#parts.witness().isSeenUp(book, member.vantage)
  }

  isAsked(): boolean {
    return false
  }

  sampled(): void {}
}
