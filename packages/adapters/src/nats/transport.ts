import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager, type PubAck } from '@nats-io/jetstream'
import type { NatsConnection, Status, Subscription } from '@nats-io/nats-core'
import { type CallContext, errorText, type Logger, PintailError } from '@pintail/core'
import { type Command, encodeCommand, parseEvent, parseResult } from '../regions/messages.ts'
import type { CommandTransport } from '../regions/transport.ts'
import { natsFailure } from './failure.ts'
import { natsSubjects } from './subjects.ts'

export interface NatsTransportOptions {
  /** The host's connection; it is never closed here. */
  readonly nats: NatsConnection
  /** See `natsSubjects`. Default `vpn`. */
  readonly prefix?: string
  /** Where answers go: each process has a name of its own. */
  readonly sender: string
  /** How long the broker may take to say that it keeps a command, milliseconds. */
  readonly publishTimeoutMs: number
  readonly logger: Logger
}

type Listener<T> = (message: T) => void

/** Commands into the stream, answers and events from their subjects. */
export function natsTransport({ nats, prefix, sender, publishTimeoutMs, logger }: NatsTransportOptions): CommandTransport {
  const subjects = natsSubjects(prefix)
  const replyTo = subjects.reply(sender)
  const stream: JetStreamClient = jetstream(nats)
  let manager: Promise<JetStreamManager> | null = null
  const line = lineOf(nats)
  const results = new Set<Listener<ReturnType<typeof parseResult>>>()
  const events = new Set<Listener<ReturnType<typeof parseEvent>>>()
  const ends = [listen(nats, replyTo, parseResult, results, logger), listen(nats, subjects.events(), parseEvent, events, logger), line.end]

  const send = async (command: Command, msgID: string): Promise<PubAck> => {
    if (!line.isUp()) throw unavailable('the broker cannot be reached: nothing was published')
    const bytes = encodeCommand(command)
    try {
      return await stream.publish(subjects.command(command.region, command.serverId), bytes, { msgID, timeout: publishTimeoutMs })
    } catch (error) {
      throw failureOf(error)
    }
  }
  /** Whether it is there still, or was done by its worker. Not to know is to believe that it waits. */
  const waits = async ({ stream: name, seq }: PubAck): Promise<boolean> => {
    try {
      manager ??= jetstreamManager(nats, { checkAPI: false })
      return (await (await manager).streams.getMessage(name, { seq })) !== null
    } catch (error) {
      manager = null
      logger.debug({ error: errorText(error) }, 'the broker does not say whether a command waits still')
      return true
    }
  }
  return {
    replyTo,
    publish: async (command: Command, { signal }: CallContext) => {
      const ack = await send(command, command.idempotencyKey)
      // It was there already. If its worker has taken it since, its answer has been and gone: it is asked for anew.
      if (ack.duplicate && !(await waits(ack)) && !signal.aborted) await send(command, command.id)
    },
    onResult: (listener) => added(results, listener),
    onEvent: (listener) => added(events, listener),
    close: async () => {
      for (const end of ends) end()
    },
  }
}

function added<T>(all: Set<T>, one: T): () => void {
  all.add(one)
  return () => void all.delete(one)
}

/** What does not parse is nobody's answer: it is counted in the log and changes nothing. */
function listen<T>(
  nats: NatsConnection,
  subject: string,
  parse: (bytes: Uint8Array) => T,
  all: Set<Listener<T>>,
  logger: Logger,
): () => void {
  const subscription: Subscription = nats.subscribe(subject, {
    callback: (error, { data }) => {
      if (error) return logger.warn({ subject }, `nothing can be heard there: ${errorText(error)}`)
      let message: T
      try {
        message = parse(data)
      } catch (failure) {
        return logger.warn({ subject, error: errorText(failure) }, 'a message was not understood, and is ignored')
      }
      for (const listener of [...all]) listener(message)
    },
  })
  return () => subscription.unsubscribe()
}

/** Whether the connection is up. While it is not, the client keeps what is published, and may send it when nobody wants it any more. */
function lineOf(nats: NatsConnection): { isUp(): boolean; end(): void } {
  let isDown = false
  const statuses = nats.status() as AsyncIterable<Status> & { stop?(): void }
  const watch = async (): Promise<void> => {
    for await (const { type } of statuses) {
      if (type === 'disconnect' || type === 'staleConnection' || type === 'forceReconnect') isDown = true
      else if (type === 'reconnect') isDown = false
    }
  }
  watch().catch(() => {})
  return { isUp: () => !isDown && !nats.isClosed() && !nats.isDraining(), end: () => statuses.stop?.() }
}

/** Errors that the broker itself has answered with, or that came before anything was sent. */
const answered = [
  'JetStreamApiError',
  'StreamNotFoundError',
  'JetStreamNotEnabled',
  'NoRespondersError',
  'PermissionViolationError',
  'InvalidArgumentError',
  'InvalidSubjectError',
  'ClosedConnectionError',
  'DrainingConnectionError',
]

function failureOf(error: unknown): PintailError {
  const { name = '' } = error as { readonly name?: string }
  const failure = natsFailure(error, 'publishing a command')
  if (answered.includes(name) || failure.code !== 'unavailable') return failure
  return new PintailError('timeout', `the broker has not said that it keeps the command: ${errorText(error)}`, {
    cause: error,
    remedy: 'Look whether the broker runs, and whether its cluster has a leader.',
  })
}

const unavailable = (why: string): PintailError =>
  new PintailError('unavailable', why, { remedy: 'Look whether the broker runs; the client connects again by itself.' })
