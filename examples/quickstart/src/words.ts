/** Pintail's events in plain words: one line an event that an operator would want to read, none for the rest. */
import type { FleetStatus, PintailEvent, ServerReport } from '@pintail/core'
import { systemClock } from '@pintail/core'
import { count, duration, type Tone } from './text.ts'

/** One line of the log. */
export interface Entry {
  readonly at: number
  /** At most eight characters: what kind of news this is. */
  readonly tag: string
  readonly tone: Tone
  readonly text: string
  /** What to do about it, where there is room to say so. */
  readonly remedy?: string
}

/** These come in swarms, one a user; a swarm is told as one line. */
type Swarm = 'connection.unplaced' | 'connection.move_failed' | 'revoke.pending' | 'revoke.settled'
/** A swarm is over when nothing more of it has come for so long. */
const quietMs = 700

export class Narrator {
  readonly #look: () => FleetStatus
  readonly #say: (entry: Entry) => void
  readonly #swarms = new Map<string, { n: number; readonly tell: (n: number) => Omit<Entry, 'at'>; readonly timer: NodeJS.Timeout }>()

  /** @param look the state of this moment, for what an event does not carry */
  constructor(look: () => FleetStatus, say: (entry: Entry) => void) {
    this.#look = look
    this.#say = say
  }

  take(event: PintailEvent): void {
    const told = this.#swarm(event) ?? this.#words(event)
    if (told) this.#say({ at: event.at, ...told })
  }

  /** Tells what is held back, and leaves no timer. */
  flush(): void {
    for (const key of [...this.#swarms.keys()]) this.#release(key)
  }

  #release(key: string): void {
    const swarm = this.#swarms.get(key)
    if (!swarm) return
    clearTimeout(swarm.timer)
    this.#swarms.delete(key)
    this.#say({ at: systemClock.now(), ...swarm.tell(swarm.n) })
  }

  #swarm(event: PintailEvent): undefined {
    const { type, data } = event
    const gather = (of: string, kind: Swarm, tell: (n: number) => Omit<Entry, 'at'>): undefined => {
      const key = `${kind} ${of}`
      const swarm = this.#swarms.get(key) ?? { n: 0, tell, timer: setTimeout(() => this.#release(key), quietMs) }
      this.#swarms.set(key, swarm)
      swarm.n++
      swarm.timer.refresh()
    }
    switch (type) {
      case 'connection.unplaced':
        return gather(`${data.serverId} ${data.code}`, type, (n) => ({
          tag: 'no room',
          tone: 'alarm',
          text: `no room for ${count(n, 'user')} of ${data.serverId}: ${data.message}`,
        }))
      case 'connection.move_failed':
        return gather(`${data.toServerId} ${data.error}`, type, (n) => ({
          tag: 'failed',
          tone: 'warn',
          text: `${count(n, 'user')} could not be moved to ${data.toServerId}: ${data.error}; planned anew`,
        }))
      case 'revoke.pending':
        return gather(data.serverId, type, (n) => ({
          tag: 'owed',
          tone: 'quiet',
          text: `${count(n, 'old grant')} on ${data.serverId} will be taken back when it returns`,
        }))
      case 'revoke.settled':
        return gather(data.serverId, type, (n) => ({
          tag: 'settled',
          tone: 'quiet',
          text: `${count(n, 'old grant')} on ${data.serverId} taken back`,
        }))
    }
  }

  #words({ type, data }: PintailEvent): Omit<Entry, 'at'> | null {
    switch (type) {
      case 'leader.acquired':
        return { tag: 'engine', tone: 'quiet', text: 'this engine leads: it alone judges and moves' }
      case 'leader.lost':
        return { tag: 'engine', tone: 'alarm', text: 'this engine no longer leads' }
      case 'server.verdict_changed':
        return this.#verdict(data)
      case 'incident.opened': {
        const { control } = this.#look().incidents.find(({ id }) => id === data.incidentId) ?? {}
        const sure = control ? `; ${this.#nameOf(control.host)} answers, so the prober is not the broken one` : ''
        return { tag: 'incident', tone: 'bad', text: `opened${sure}` }
      }
      case 'incident.held': {
        const [first] = data.guards
        return {
          tag: 'held',
          tone: 'alarm',
          text: `${data.serverId}: nobody is moved: ${first?.message}`,
          ...(first && { remedy: first.remedy }),
        }
      }
      case 'incident.released':
        return { tag: 'released', tone: 'good', text: `${data.serverId}: nothing forbids moving any more` }
      case 'guard.denied':
        return data.incidentId === null
          ? { tag: 'held', tone: 'alarm', text: `${data.serverId}: ${data.message}`, remedy: data.remedy }
          : null
      case 'decision.made':
        if (data.mode !== 'observe') return null
        return {
          tag: 'observe',
          tone: 'alarm',
          text: `would move ${data.placed} of ${count(data.connections, 'user')}; this mode does nothing`,
        }
      case 'evacuation.created': {
        if (data.connections === 0)
          return { tag: 'plan', tone: 'quiet', text: `nobody is on ${data.fromServerIds.join(', ')}: nobody to move` }
        const plan = `${count(data.connections - data.unplaced, 'user')} of ${data.fromServerIds.join(', ')} to ${count(data.migrations, 'server')}`
        return data.status === 'suggested'
          ? { tag: 'suggest', tone: 'alarm', text: `${plan}: waits for your approval` }
          : { tag: 'plan', tone: 'busy', text: plan }
      }
      case 'evacuation.approved':
        return { tag: 'approved', tone: 'good', text: 'by a person; the moves start' }
      case 'evacuation.completed': {
        if (data.moved + data.unplaced === 0) return null
        const left = data.unplaced === 0 ? 'nobody left' : `${count(data.unplaced, 'user')} left`
        return { tag: 'moved', tone: data.unplaced === 0 ? 'good' : 'alarm', text: `${count(data.moved, 'user')}, ${left}` }
      }
      case 'evacuation.cancelled':
        return { tag: 'stopped', tone: 'warn', text: `the evacuation ends with ${data.moved} moved: ${data.why}` }
      case 'migration.failed':
        return { tag: 'failed', tone: 'bad', text: `${this.#targetOf(data.id)}: ${data.error}` }
      case 'server.status_set':
        return data.status === 'online'
          ? { tag: 'status', tone: 'good', text: `${data.serverId} is online in the books again` }
          : { tag: 'status', tone: 'warn', text: `${data.serverId} is set ${data.status} in the books: nobody new is sent there` }
      case 'incident.recovered': {
        const end = data.advice ?? (data.statusRestored ? 'its status is restored' : 'its status was never changed')
        return { tag: 'back', tone: 'good', text: `${data.serverId}, after ${duration(data.durationMs)}; ${end}` }
      }
      case 'server.cordoned':
        return { tag: 'cordon', tone: 'warn', text: `${data.serverId} takes nobody new` }
      case 'pause.set':
        return { tag: 'paused', tone: 'alarm', text: 'nobody is moved until resumed; probing goes on' }
      case 'pause.lifted':
        return { tag: 'resumed', tone: 'good', text: 'moves go on' }
      case 'warning': {
        // Advice is told with the recovery that it belongs to.
        return data.code === 'advice'
          ? null
          : { tag: 'warning', tone: 'warn', text: data.message, ...(data.remedy && { remedy: data.remedy }) }
      }
      default:
        return null
    }
  }

  #verdict(data: Extract<PintailEvent, { type: 'server.verdict_changed' }>['data']): Omit<Entry, 'at'> | null {
    const { serverId, verdict, previous, reasons } = data
    const [reason] = reasons
    const cause = causeOf(this.#look().servers.find((server) => server.serverId === serverId)) ?? reason.message
    switch (verdict) {
      case 'suspect':
        return { tag: 'suspect', tone: 'warn', text: `${serverId} fails a check (${cause}): looking closely` }
      case 'down': {
        const { failures = 0, forMs = 0 } = reason.values ?? {}
        return {
          tag: 'DOWN',
          tone: 'bad',
          text: `${serverId}: ${cause}; ${count(Number(failures), 'failing check')} in ${duration(Number(forMs))}`,
        }
      }
      case 'up':
        return previous === 'suspect' ? { tag: 'cleared', tone: 'good', text: `${serverId} answers; it was a blip` } : null
      case 'unknown':
        return { tag: 'unknown', tone: 'warn', text: `${serverId}: ${reason.message}` }
      default:
        return verdict satisfies never
    }
  }

  #nameOf(host: string): string {
    const [server, ...more] = this.#look().servers.filter((one) => one.host === host)
    // Where all servers share one address, the address is all that is known.
    return server && more.length === 0 ? server.name : host
  }

  #targetOf(migration: string): string {
    return this.#look().migrations.find(({ id }) => id === migration)?.toServerName ?? 'a migration'
  }
}

/** Why a server fails, in as few words as there are: `icmp ok, tcp refused`; null: its last check passed. */
export function causeOf(server: ServerReport | undefined): string | null {
  const failure = server?.lastSample?.failure
  if (!failure) return null
  if (failure.detail?.includes(', ')) return failure.detail
  return `${failure.layer} ${failure.kind.replace('_', ' ')}`
}
