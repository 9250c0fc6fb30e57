import { type CallContext, PintailError } from '@pintail/core'
import type { Access, Listed } from '../regions/index.ts'
import { parseGrant, type WireGuardGrant } from './access.ts'
import type { PeerSetting, WireGuardDevice, WireGuardPeer } from './device.ts'
import type { HandlerSettings } from './handlerOptions.ts'
import { BatchLane, type Outcome } from './lane.ts'
import type { PeerRecord } from './ledger.ts'
import { isSame, type PeerPlan, type Refusal, Table } from './plan.ts'

export type Task =
  | {
      readonly kind: 'grant'
      readonly access: Access
      readonly grant: WireGuardGrant
      readonly ownKey: string
      readonly presharedKey: string | null
    }
  | { readonly kind: 'revoke'; readonly access: Access }
  | { readonly kind: 'list' }
  | { readonly kind: 'check'; readonly access: Access }

export interface Done {
  /** What was changed, or would be; null: nothing was to be done. */
  readonly plan: PeerPlan | null
  readonly listed: readonly Listed[]
  readonly isUsable: boolean
}

const nothing: Done = { plan: null, listed: [], isUsable: false }
const mostAtOnce = 256
/** More than any worker has under way: beyond it something is wrong, and calls are refused instead of kept. */
const mostWaiting = 10_000
/** Before the key of a peer that `ownsAll` gives to nobody in particular. */
const unowned = 'unowned:'

/** One server's interface and its ledger: batches of tasks, each decided by what the daemon itself says at that moment. */
export class Peers {
  readonly #serverId: string
  readonly #device: WireGuardDevice
  readonly #settings: HandlerSettings
  readonly #lane = new BatchLane<Task, Done>((tasks, ctx) => this.#batch(tasks, ctx), mostAtOnce)
  #records: Map<string, PeerRecord> | null = null

  constructor(serverId: string, device: WireGuardDevice, settings: HandlerSettings) {
    this.#serverId = serverId
    this.#device = device
    this.#settings = settings
  }

  async run(task: Task, { signal }: CallContext): Promise<Done> {
    signal.throwIfAborted()
    if (this.#lane.waiting >= mostWaiting)
      throw new PintailError('unavailable', `${mostWaiting} calls wait for ${this.#device.name} already`, {
        remedy: 'Look whether its daemon hangs.',
      })
    return this.#lane.add(task, signal)
  }

  async #batch(tasks: readonly Task[], ctx: CallContext): Promise<readonly Outcome<Done>[]> {
    const [peers, records] = [await this.#device.peers(ctx), await this.#noted()]
    const table = new Table(peers, [...records.values()])
    const outcomes = tasks.map((task) => this.#decide(task, table, peers))
    const plans = outcomes.flatMap((one) => ('answer' in one && one.answer.plan ? [one.answer.plan] : []))
    if (plans.length === 0 || this.#settings.dryRun) return outcomes
    try {
      await this.#perform(plans, tasks, peers, ctx)
      return outcomes
    } catch (error) {
      // What one of them is refused for must not hold up the others.
      if (tasks.length === 1 || ctx.signal.aborted) throw error
      const singly: Outcome<Done>[] = []
      for (const task of tasks) singly.push(await this.#alone(task, ctx))
      return singly
    }
  }

  async #alone(task: Task, ctx: CallContext): Promise<Outcome<Done>> {
    try {
      return (await this.#batch([task], ctx))[0] as Outcome<Done>
    } catch (error) {
      return { error }
    }
  }

  #decide(task: Task, table: Table, peers: readonly WireGuardPeer[]): Outcome<Done> {
    const { pool, keep, clock } = this.#settings
    switch (task.kind) {
      case 'grant': {
        if (keep.has(task.grant.publicKey))
          return {
            error: refusalOf({
              refused: 'KEY_TAKEN',
              message: 'the public key is one of `keep`',
              remedy: 'Give this user a key pair of his own.',
            }),
          }
        const plan = table.grant(task.access.connectionId, task.grant, { pool, ownKey: task.ownKey, now: Math.floor(clock.now()) })
        return 'refused' in plan ? { error: refusalOf(plan) } : changing(plan)
      }
      case 'revoke':
        return changing(this.#revoke(task.access, table))
      case 'list':
        return { answer: { ...nothing, listed: peers.map((peer) => this.#listed(peer, table)) } }
      case 'check':
        return { answer: { ...nothing, isUsable: this.#isUsable(task.access, table, peers) } }
    }
  }

  #revoke({ connectionId, payload }: Access, table: Table): PeerPlan {
    const { ownsAll, keep } = this.#settings
    if (ownsAll && connectionId.startsWith(unowned)) {
      const key = connectionId.slice(unowned.length)
      return keep.has(key) ? table.removeUnowned('') : table.removeUnowned(key)
    }
    return table.revoke(connectionId, grantIn(payload))
  }

  #listed({ publicKey, allowedIps }: WireGuardPeer, table: Table): Listed {
    const owner = table.ownerOf(publicKey)
    const { keep, ownsAll } = this.#settings
    const isLeft = keep.has(publicKey) || allowedIps.length === 0
    if (owner === null) return { connectionId: ownsAll && !isLeft ? `${unowned}${publicKey}` : null, payload: { publicKey, allowedIps } }
    // In the words of whoever asked for it, so that another spelling is no difference.
    const asked = this.#records?.get(publicKey)?.allowedIps ?? allowedIps
    return { connectionId: owner, payload: { publicKey, allowedIps: isSame(allowedIps, asked) ? asked : allowedIps } }
  }

  /** WireGuard tells handshakes in whole seconds in some places: within its first second a grant is believed. */
  #isUsable({ connectionId }: Access, table: Table, peers: readonly WireGuardPeer[]): boolean {
    const record = table.recordOf(connectionId)
    const latest = peers.find(({ publicKey }) => publicKey === record?.publicKey)?.latestHandshakeAt ?? null
    if (record === null || latest === null) return false
    const { handshakeMs, clock } = this.#settings
    return latest >= Math.floor(record.grantedAt / 1000) * 1000 && latest >= clock.now() - handshakeMs
  }

  /** Notes first, then the interface, then the notes of what is gone: whenever it ends in between, nothing of ours is taken for somebody else's. */
  async #perform(plans: readonly PeerPlan[], tasks: readonly Task[], peers: readonly WireGuardPeer[], ctx: CallContext): Promise<void> {
    const secrets = new Map(
      tasks.flatMap((task) => (task.kind === 'grant' && task.presharedKey !== null ? [[task.grant.publicKey, task.presharedKey]] : [])),
    )
    const { set, remove, put, drop } = merged(plans)
    if (put.length > 0) await this.#note(put, [])
    const settings = set.map((one): PeerSetting => {
      const presharedKey = secrets.get(one.publicKey)
      return presharedKey === undefined ? one : { ...one, presharedKey }
    })
    if (set.length + remove.length > 0) await this.#device.apply({ set: settings, remove, seen: peers }, ctx)
    if (drop.length > 0) await this.#note([], drop)
  }

  async #noted(): Promise<Map<string, PeerRecord>> {
    this.#records ??= new Map((await this.#settings.ledger.of(this.#serverId)).map((record) => [record.publicKey, record]))
    return this.#records
  }

  async #note(put: readonly PeerRecord[], drop: readonly string[]): Promise<void> {
    await this.#settings.ledger.note(this.#serverId, { put, drop })
    for (const key of drop) this.#records?.delete(key)
    for (const record of put) this.#records?.set(record.publicKey, record)
  }
}

/** The plans of one batch in order, as one: of a key that several of them speak of, the last word. */
function merged(plans: readonly PeerPlan[]): PeerPlan {
  const settings = new Map<string, PeerSetting | null>()
  const notes = new Map<string, PeerRecord | null>()
  for (const { set, remove, put, drop } of plans) {
    for (const key of remove) settings.set(key, null)
    for (const one of set) settings.set(one.publicKey, one)
    for (const key of drop) notes.set(key, null)
    for (const record of put) notes.set(record.publicKey, record)
  }
  const keys = (map: Map<string, unknown>): string[] => [...map].flatMap(([key, value]) => (value === null ? [key] : []))
  return {
    set: [...settings.values()].filter((one) => one !== null),
    remove: keys(settings),
    put: [...notes.values()].filter((one) => one !== null),
    drop: keys(notes),
  }
}

function changing(plan: PeerPlan): Outcome<Done> {
  const isNothing = [plan.set, plan.remove, plan.put, plan.drop].every((list) => list.length === 0)
  return { answer: { ...nothing, plan: isNothing ? null : plan } }
}

/** What a revoke says of the peer, if it says it. */
function grantIn(payload: Access['payload']): WireGuardGrant | null {
  try {
    return parseGrant(payload)
  } catch {
    return null
  }
}

const refusalOf = ({ refused, message, remedy }: Refusal): PintailError =>
  new PintailError('rejected', `${refused}: ${message}`, { remedy })
