import { type ClientMessage, createClient } from '@pintail/client'

interface Entry {
  readonly seq: number
  readonly type: string
}

/** Somebody who watches: a book made of pictures and events alone, as a dashboard keeps it. */
export class Watcher {
  readonly statuses = new Map<string, string>()
  /** Events of the journal, in the order in which they came. */
  readonly entries: Entry[] = []
  readonly complaints: string[] = []
  pictures = 0
  connections = 0
  /** The journal's number that the first picture stands for. */
  from = 0
  #cursor = 0
  readonly #stopping = new AbortController()
  readonly #done: Promise<void>

  constructor(port: number) {
    this.#done = this.#watch(port)
  }

  get cursor(): number {
    return this.#cursor
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#done
  }

  async #watch(port: number): Promise<void> {
    const client = createClient({ baseUrl: `http://127.0.0.1:${port}/api` })
    const { signal } = this.#stopping
    const onConnection = ({ state }: { readonly state: string }): void => {
      if (state === 'open') this.connections++
    }
    try {
      for await (const message of client.events({ signal, onConnection, longestPauseMs: 500, idleMs: 5000 })) this.#take(message)
      if (!signal.aborted) this.complaints.push('the stream has ended by itself')
    } catch (error) {
      if (!signal.aborted) this.complaints.push(`the stream has failed: ${String(error)}`)
    }
  }

  #take(message: ClientMessage): void {
    if (message.type === 'snapshot') {
      this.pictures++
      this.#cursor = message.data.last_seq
      if (this.pictures === 1) this.from = this.#cursor
      for (const { id, status } of message.data.migrations) this.statuses.set(id, status)
      return
    }
    if (message.type === 'stream.reset') {
      this.complaints.push(`the stream begins anew: ${JSON.stringify(message.data)}`)
      return
    }
    if (message.seq === 0) return
    if (message.seq !== this.#cursor + 1) this.complaints.push(`event ${message.seq} comes after ${this.#cursor}`)
    this.#cursor = message.seq
    this.entries.push({ seq: message.seq, type: message.type })
    const { type, data } = message
    if (type === 'migration.created') this.statuses.set(data.id, data.status)
    if (type === 'migration.status_changed') this.statuses.set(data.id, data.new_status)
    if (type === 'migration.completed') this.statuses.set(data.id, 'completed')
    if (type === 'migration.failed') this.statuses.set(data.id, 'failed')
  }
}
