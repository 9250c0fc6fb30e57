import type { ClientMessage, PintailClient } from '@pintail/client'
import type { Environment } from './environment.ts'
import type { Link } from './model.ts'
import { troubleOf } from './trouble.ts'

/** The leading tab shows itself so often, also while nothing happens. */
const heartbeatMs = 10_000
/** A leader that is silent for so long hangs: another tab takes its place by force. */
const silentMs = 35_000

type Told =
  | { readonly kind: 'message'; readonly message: ClientMessage }
  | { readonly kind: 'link'; readonly link: Link }
  /** With what the leader's link is, for tabs that have come since it changed. */
  | { readonly kind: 'alive'; readonly link: Link | null }

export interface Taking {
  /** The cursor of this tab: `seq` of the last event that it has. */
  readonly after: () => number
  readonly message: (message: ClientMessage) => void
  readonly link: (link: Link) => void
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError'

/** Reads the stream to the signal's end. @throws ApiError what does not pass by itself */
async function lead(client: PintailClient, signal: AbortSignal, taking: Taking): Promise<void> {
  const onConnection = (connection: { state: string; why?: unknown }): void => {
    if (connection.state === 'open') taking.link({ state: 'live' })
    if (connection.state === 'waiting') taking.link({ state: 'stale', why: troubleOf(connection.why) })
  }
  for await (const message of client.events({ after: taking.after(), signal, onConnection })) taking.message(message)
}

/**
 * Live messages until the signal ends. Of all tabs with the same `name` one reads the stream and tells the others; when it closes or
 * is hidden the next one goes on from its own cursor, so that nothing is missed. Without a name, or where the browser has no locks,
 * each reads its own.
 * @throws ApiError what does not pass by itself
 */
export async function follow(
  client: PintailClient,
  environment: Environment,
  name: string | null,
  signal: AbortSignal,
  taking: Taking,
): Promise<void> {
  const { locks, openChannel } = environment
  if (name === null || !locks || !openChannel) return lead(client, signal, taking)
  const channel = openChannel(name)
  const place = new Place(environment, channel, taking)
  try {
    for (let steal = false; !signal.aborted; ) {
      const outcome = await place.take(client, locks, name, steal, signal)
      if (outcome === 'ended') return
      // Robbed: another tab thought that this one hangs, and this one follows. A leader that is silent is robbed by us.
      steal = outcome === 'silent'
    }
  } finally {
    channel.close()
  }
}

/** One tab's place among the others: it follows, until it may lead. */
class Place {
  readonly #environment: Environment
  readonly #channel: BroadcastChannel
  readonly #taking: Taking
  #isLeading = false
  #heardAt: number
  #link: Link | null = null

  constructor(environment: Environment, channel: BroadcastChannel, taking: Taking) {
    this.#environment = environment
    this.#channel = channel
    this.#taking = taking
    this.#heardAt = environment.now()
    channel.onmessage = ({ data }: MessageEvent<Told>) => this.#hear(data)
  }

  #hear(told: Told): void {
    this.#heardAt = this.#environment.now()
    if (this.#isLeading) return
    if (told.kind === 'message') this.#taking.message(told.message)
    else if (told.link) this.#taking.link(told.link)
  }

  #tell(told: Told): void {
    this.#channel.postMessage(told)
  }

  /** Waits for the lead, and leads. @throws ApiError what does not pass by itself */
  async take(
    client: PintailClient,
    locks: LockManager,
    name: string,
    steal: boolean,
    signal: AbortSignal,
  ): Promise<'ended' | 'silent' | 'robbed'> {
    // Of the waiting, and of the leading: who is robbed has to stop reading.
    const mine = new AbortController()
    const both = AbortSignal.any([signal, mine.signal])
    const watch = every(this.#environment, heartbeatMs, () => {
      if (this.#isLeading) this.#tell({ kind: 'alive', link: this.#link })
      else if (this.#environment.now() - this.#heardAt > silentMs) mine.abort()
    })
    try {
      // A request that steals takes no signal.
      await locks.request(name, steal ? { steal: true } : { signal: both }, () => this.#lead(client, both))
      return 'ended'
    } catch (error) {
      if (signal.aborted) return 'ended'
      if (!isAbort(error)) throw error
      return this.#isLeading ? 'robbed' : 'silent'
    } finally {
      watch.cancel()
      mine.abort()
      this.#isLeading = false
      this.#heardAt = this.#environment.now()
    }
  }

  async #lead(client: PintailClient, signal: AbortSignal): Promise<void> {
    this.#isLeading = true
    await lead(client, signal, {
      after: this.#taking.after,
      message: (message) => {
        if (signal.aborted) return
        this.#tell({ kind: 'message', message })
        this.#taking.message(message)
      },
      link: (link) => {
        if (signal.aborted) return
        this.#link = link
        this.#tell({ kind: 'link', link })
        this.#taking.link(link)
      },
    })
  }
}

function every(environment: Environment, ms: number, work: () => void): { cancel(): void } {
  let timer = environment.setTimeout(again, ms)
  function again(): void {
    timer = environment.setTimeout(again, ms)
    work()
  }
  return { cancel: () => timer.cancel() }
}
