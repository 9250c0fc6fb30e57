import { type JsMsg, jetstream } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core'
import { type Clock, type Logger, systemClock } from '@pintail/core'
import { type DeadLetter, encode } from '../regions/messages.ts'
import { natsFailure } from './failure.ts'
import type { Subjects } from './subjects.ts'

export interface DeadLettersOptions {
  readonly nats: NatsConnection
  readonly subjects: Subjects
  readonly region: string
  readonly clock?: Clock
  readonly logger: Logger
}

export interface Epitaph {
  readonly reason: string
  readonly why: string
  readonly commandId: string | null
}

const keptBytes = 64 * 1024

/** Keeps a message that nobody can do anything with; resolves with whether the broker has it. */
export function deadLetters({ nats, subjects, region, clock = systemClock, logger }: DeadLettersOptions) {
  const stream = jetstream(nats)
  return async (message: JsMsg, { reason, why, commandId }: Epitaph): Promise<boolean> => {
    const { streamSequence, deliveryCount, timestampNanos } = message.info
    const letter: DeadLetter = {
      v: 1,
      reason,
      message: why.slice(0, 300),
      region,
      subject: message.subject,
      commandId,
      deliveries: deliveryCount,
      at: new Date(clock.now()).toISOString(),
      body: Buffer.from(message.data.subarray(0, keptBytes)).toString('base64'),
    }
    try {
      // Who dies between keeping it and taking it out of the commands keeps it once.
      await stream.publish(subjects.dead(region), encode(letter), { msgID: `${region}/${streamSequence}/${timestampNanos}` })
      return true
    } catch (error) {
      logger.error({ region, reason }, `a dead letter could not be kept, the command stays: ${natsFailure(error, 'keeping it').message}`)
      return false
    }
  }
}
