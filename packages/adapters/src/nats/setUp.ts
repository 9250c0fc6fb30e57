import { DiscardPolicy, type JetStreamManager, jetstreamManager, RetentionPolicy, StorageType, type StreamConfig } from '@nats-io/jetstream'
import { type NatsConnection, nanos } from '@nats-io/nats-core'
import { PintailError } from '@pintail/core'
import { limits } from '../regions/messages.ts'
import { apiFailure, isMissing } from './failure.ts'
import { natsSubjects } from './subjects.ts'

export interface NatsSetUp {
  /** See `natsSubjects`. Default `vpn`. */
  readonly prefix?: string
  /** Servers of the broker's cluster that keep each stream: 1, 3 or 5. Default 1. */
  readonly replicas?: number
  /**
   * Commands that wait for their worker, bytes, at least 1 MiB; a command has about 700. Full: whoever publishes gets `unavailable`,
   * and nothing that waits is thrown away. Default 512 MiB.
   */
  readonly commandBytes?: number
  /** How long the same message id is one message, milliseconds, 1 000–3 600 000. Default 120 000. */
  readonly duplicateWindowMs?: number
  /** Dead letters, bytes, at least 1 MiB; full: the oldest go. Default 64 MiB. */
  readonly deadBytes?: number
  /** How long a dead letter is kept, milliseconds. Default 7 days. */
  readonly deadAgeMs?: number
  /** Samples of vantages, bytes, at least 1 MiB; full: the oldest go. Default 64 MiB. */
  readonly sampleBytes?: number
  /** How long a sample is kept, milliseconds, 1 000–3 600 000. Older than two minutes is believed by nobody. Default 120 000. */
  readonly sampleAgeMs?: number
  /** Where samples are kept. Default `file`. With `memory` a broker without a cluster forgets the stream when it restarts: run this again then. */
  readonly sampleStorage?: 'memory' | 'file'
}

/** What was there, what was not, by the names of streams. */
export interface NatsSetUpResult {
  readonly made: readonly string[]
  readonly changed: readonly string[]
  readonly unchanged: readonly string[]
}

const mebibyte = 1024 * 1024

/**
 * Makes the three streams, or brings those that are there to these limits; repeatable, and by several at the same time. Each is
 * bounded in bytes: commands refuse what is new when they are full, dead letters and samples let the oldest go.
 *
 * @throws PintailError `invalid_options`: a limit, or a stream of this name that is something else; `rejected`: no permission;
 * `unavailable`, `unsupported`
 */
export async function setUpNats(nats: NatsConnection, options: NatsSetUp = {}): Promise<NatsSetUpResult> {
  const wanted = streamsOf(options)
  try {
    const manager = await jetstreamManager(nats, { checkAPI: false })
    const result = { made: [] as string[], changed: [] as string[], unchanged: [] as string[] }
    for (const stream of wanted) result[await ensure(manager, stream)].push(stream.name)
    return result
  } catch (error) {
    throw apiFailure(error, 'setting up the streams')
  }
}

type Wanted = Pick<StreamConfig, 'name' | 'subjects'> & Partial<StreamConfig>

async function ensure(manager: JetStreamManager, wanted: Wanted): Promise<keyof NatsSetUpResult> {
  const found = await manager.streams.info(wanted.name).catch((error: unknown) => {
    if (isMissing(error)) return null
    throw error
  })
  if (!found) {
    await manager.streams.add(wanted)
    return 'made'
  }
  const { config } = found
  if (config.retention !== wanted.retention || config.storage !== wanted.storage)
    throw new PintailError('invalid_options', `the stream ${wanted.name} is there with another retention or storage`, {
      remedy: 'Use another prefix; or, if nothing in it is needed any more, delete it: `nats stream rm`.',
    })
  const differs = Object.entries(wanted).some(([key, value]) => JSON.stringify(config[key as keyof StreamConfig]) !== JSON.stringify(value))
  if (!differs) return 'unchanged'
  await manager.streams.update(wanted.name, wanted)
  return 'changed'
}

function streamsOf(options: NatsSetUp): readonly Wanted[] {
  const within = (name: Exclude<keyof NatsSetUp, 'prefix' | 'sampleStorage'>, low: number, high: number, fallback: number): number => {
    const value = options[name] ?? fallback
    if (Number.isSafeInteger(value) && value >= low && value <= high) return value
    throw new PintailError('invalid_options', `${name}: must be a whole number from ${low} to ${high}`)
  }
  const subjects = natsSubjects(options.prefix)
  const { commands, dead, samples } = subjects.streams
  const common = { num_replicas: within('replicas', 1, 5, 1), max_msg_size: limits.messageBytes + headerBytes } as const
  const bytes = [mebibyte, Number.MAX_SAFE_INTEGER] as const
  return [
    {
      ...common,
      name: commands,
      subjects: [subjects.commands()],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_bytes: within('commandBytes', ...bytes, 512 * mebibyte),
      duplicate_window: nanos(within('duplicateWindowMs', 1000, 3_600_000, 120_000)),
    },
    {
      ...common,
      // A dead letter holds what was sent as base64, and some words.
      max_msg_size: 2 * limits.messageBytes,
      name: dead,
      subjects: [subjects.deads()],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      max_bytes: within('deadBytes', ...bytes, 64 * mebibyte),
      max_age: nanos(within('deadAgeMs', 1000, 366 * 86_400_000, 7 * 86_400_000)),
      duplicate_window: nanos(120_000),
    },
    {
      ...common,
      name: samples,
      subjects: [subjects.samples()],
      retention: RetentionPolicy.Limits,
      storage: options.sampleStorage === 'memory' ? StorageType.Memory : StorageType.File,
      discard: DiscardPolicy.Old,
      max_bytes: within('sampleBytes', ...bytes, 64 * mebibyte),
      max_age: nanos(within('sampleAgeMs', 1000, 3_600_000, 120_000)),
      duplicate_window: nanos(1000 * Math.min(120, within('sampleAgeMs', 1000, 3_600_000, 120_000) / 1000)),
    },
  ]
}

/** The broker counts headers too: message ids and traces. */
const headerBytes = 4096
