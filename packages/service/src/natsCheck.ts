import { jetstreamManager } from '@nats-io/jetstream'
import { natsSubjects } from '@pintail/adapters/nats'
import { errorText, isPintailError, systemClock } from '@pintail/core'
import { connectNats } from './nats.ts'
import type { NatsValues } from './settings/nats.ts'
import { count } from './terminal.ts'

/** For the answer about a stream, milliseconds: a user without the permission gets none. */
const answerMs = 3000

/** How the broker answers: whether it lets us in, what waits in its streams, and what to do if not. */
export interface BrokerReport {
  readonly where: string
  readonly ok: boolean
  /** How long the connection took, milliseconds; null: there is none. */
  readonly ms: number | null
  /** Messages in each stream; null: it is not there, or this user may not look at it. */
  readonly streams: Readonly<Record<string, number | null>>
  readonly note: string | null
  readonly remedy: string | null
}

/** One look at the broker of the settings; nothing is made where nothing is. */
export async function lookAtBroker(values: NatsValues): Promise<BrokerReport> {
  const begun = systemClock.now()
  const where = values.natsUrl.join(', ')
  try {
    await using broker = await connectNats(values, { name: 'pintail check', inboxPrefix: '_INBOX' })
    const ms = systemClock.now() - begun
    const manager = await jetstreamManager(broker.nats, { checkAPI: false, timeout: answerMs })
    const { commands, dead, samples } = natsSubjects(values.natsPrefix).streams
    const streams: Record<string, number | null> = {}
    for (const name of [commands, dead, samples])
      streams[name] = await manager.streams.info(name).then(
        ({ state }) => state.messages,
        () => null,
      )
    const missing = Object.keys(streams).filter((name) => streams[name] === null)
    const note = missing.length === 0 ? null : `${missing.join(', ')}: not there, or not for this user; pintail serve makes them`
    return { where, ok: true, ms, streams, note, remedy: null }
  } catch (error) {
    return { where, ok: false, ms: null, streams: {}, note: errorText(error), remedy: (isPintailError(error) && error.remedy) || null }
  }
}

export function brokerText({ where, ok, ms, streams, note, remedy }: BrokerReport): string {
  const known = Object.entries(streams).flatMap(([name, messages]) =>
    messages === null ? [] : [`${name} has ${count(messages, 'message')}`],
  )
  const answered = ms === null ? '' : `: answered in ${ms.toFixed(1)} ms${known.length > 0 ? `; ${known.join(', ')}` : ''}`
  return `nats ${where} ${ok ? 'up' : 'down'}${answered}${note ? ` (${note})` : ''}\n${remedy ? `  ${remedy}\n` : ''}`
}
