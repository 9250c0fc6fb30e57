import { errorText, PintailError, type ProbeFailure, type ProbeFailureKind, type SampleInput } from '@pintail/core'
import { z } from 'zod'

/** Bounds of one message of samples. What exceeds one is refused as a whole, before anything of it is believed. */
export const batchLimits = {
  /** Samples of one message. */
  samples: 1024,
  /** Bytes of one message. */
  bytes: 256 * 1024,
  /** Different probers that one message can name. */
  probers: 16,
  /** How long before its message a check may have been made, milliseconds: core believes nothing older. */
  agoMs: 120_000,
} as const

/** A sample that nobody else has: its time may be translated in place. */
export type ReadSample = { -readonly [Key in keyof SampleInput]: SampleInput[Key] }

/** What one vantage has seen since its last message. */
export interface Batch {
  readonly vantage: string
  /** Which run of the vantage's process wrote it: numbers and times count within a run. */
  readonly run: string
  /** 1, 2, 3 … within the run. The same samples are sent again under the same number. */
  readonly seq: number
  /** When this was sent, by the vantage's steady clock, milliseconds. Its difference to other clocks is no matter. */
  readonly at: number
  /** Samples that this run could not deliver in time and has thrown away. */
  readonly lost: number
  /** `sentAt` by the same clock as `at`. */
  readonly samples: readonly ReadSample[]
}

// ------------------------------------------------------------------------------------------------------------- writing

const kinds = ['no_reply', 'refused', 'unreachable', 'wrong_answer', 'too_slow'] as const satisfies readonly ProbeFailureKind[]

/** Letters, digits and what ids and addresses are made of stay readable; everything else is escaped as in a URI. */
const quoted = (text: string): string => (/^[\w.:-]+$/.test(text) ? text : encodeURIComponent(text.toWellFormed()))

/** Whole microseconds: a whole number is written and read several times as fast as a fraction. */
const micros = (ms: number): number => Math.round(ms * 1000)

/**
 * One sample as a line: `<server> <prober> <µs before> <sent> <received> <µs,µs…|-> [<kind> <layer> [<detail>]]`. A line costs a third
 * of an object, to write and to read, and there are a hundred thousand of them a second.
 * @param prober its number in the list of the message
 * @param base what the line's time is counted back from; below zero it is after that
 */
export function lineOf({ serverId, sentAt, sent, received, rttMs = [], failure }: SampleInput, prober: number, base: number): string {
  const times = rttMs.length === 0 ? '-' : rttMs.length === 1 ? micros(rttMs[0] as number) : rttMs.map(micros).join(',')
  const line = `${quoted(String(serverId))} ${prober} ${micros(base - sentAt)} ${sent} ${received} ${times}`
  if (!failure) return line
  const detail = failure.detail ? ` ${quoted(failure.detail.slice(0, 300))}` : ''
  return `${line} ${failure.kind} ${quoted(failure.layer.slice(0, 100) || '-')}${detail}`
}

/** Lines that belong together, before they are sent; sending them again changes nothing but the time of the message. */
export interface Packed {
  readonly seq: number
  /** What the lines' times are counted from. */
  readonly base: number
  readonly probers: readonly string[]
  readonly lines: readonly string[]
}

const tenth = (ms: number): number => Math.round(ms * 10) / 10

/** @returns the message */
export function encodeBatch(vantage: string, run: string, { seq, base, probers, lines }: Packed, at: number, lost: number): string {
  return JSON.stringify({ v: 1, vantage, run, seq, at: tenth(at), base: tenth(base), lost, probers, samples: lines })
}

/** What the head of a message may need, bytes: the lines have the rest. */
export const headBytes = 8 * 1024

// ------------------------------------------------------------------------------------------------------------- reading

const name = z.string().min(1).max(100)
const time = z.number().min(0).max(8.64e15)
const schema = z.object({
  v: z.literal(1),
  vantage: name,
  run: z.string().regex(/^[\w-]{8,64}$/),
  seq: z.int().min(1),
  at: time,
  base: time,
  lost: z.int().min(0).catch(0),
  probers: z
    .array(name.refine((prober) => !prober.startsWith('passive:')))
    .min(1)
    .max(batchLimits.probers),
  samples: z.array(z.string().max(4096)).min(1).max(batchLimits.samples),
})

export type Unreadable = 'oversized' | 'unknown_version' | 'malformed'

/** A message, or why it is none. Never throws. `bad` counts lines of it that were none; what they would have said is not kept. */
export type Read =
  | { readonly ok: true; readonly batch: Batch; readonly bad: number }
  | { readonly ok: false; readonly why: Unreadable; readonly message: string }

const decoder = new TextDecoder('utf-8', { fatal: true })

/** @param bytes as they came: anybody may have sent them */
export function parseBatch(bytes: Uint8Array): Read {
  if (bytes.length > batchLimits.bytes)
    return { ok: false, why: 'oversized', message: `${bytes.length} bytes of at most ${batchLimits.bytes}` }
  let json: unknown
  try {
    json = JSON.parse(decoder.decode(bytes))
  } catch {
    return { ok: false, why: 'malformed', message: 'it is no JSON' }
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return read(parsed.data)
  const v = (json as { v?: unknown } | null)?.v
  if (typeof v === 'number' && v > 1) return { ok: false, why: 'unknown_version', message: `version ${v} of a later Pintail` }
  const [issue] = parsed.error.issues
  return { ok: false, why: 'malformed', message: `${issue?.path.join('.').slice(0, 60) || 'message'}: ${issue?.message.slice(0, 120)}` }
}

function read({ vantage, run, seq, at, base, lost, probers, samples: lines }: z.infer<typeof schema>): Read {
  const samples: ReadSample[] = []
  let bad = 0
  for (const line of lines) {
    const sample = sampleOf(line, vantage, base, at, probers)
    if (sample) samples.push(sample)
    else bad++
  }
  return { ok: true, bad, batch: { vantage, run, seq, at, lost, samples } }
}

/** Null: it is none. What core checks too (counts and times that fit) it checks. */
function sampleOf(line: string, vantage: string, base: number, at: number, probers: readonly string[]): ReadSample | null {
  const [id = '', which = '', before = '', sent = '', received = '', times = '', kind, layer, detail, ...more] = line.split(' ')
  const by = probers[wholeOf(which)]
  const isAfter = before.startsWith('-')
  const sentAt = base - ((isAfter ? -1 : 1) * wholeOf(isAfter ? before.slice(1) : before)) / 1000
  const rttMs = timesOf(times)
  const serverId = unquoted(id)
  if (by === undefined || rttMs === null || !serverId || more.length > 0) return null
  // Sent after the message that tells of it, or too long before: no clock makes that true. NaN is neither.
  if (!(sentAt <= at && sentAt >= at - batchLimits.agoMs)) return null
  const sample: ReadSample = { serverId, vantage, prober: by, sentAt, sent: wholeOf(sent), received: wholeOf(received), rttMs }
  if (Number.isNaN(sample.sent) || Number.isNaN(sample.received)) return null
  if (kind === undefined) return sample
  if (layer === undefined || !(kinds as readonly string[]).includes(kind)) return null
  const failure = failureOf(kind as ProbeFailureKind, layer, detail)
  return failure && { ...sample, failure }
}

/** 1 to 10 digits and nothing else; NaN: it is no such number. Several times as fast as a pattern. */
function wholeOf(text: string): number {
  const { length } = text
  if (length < 1 || length > 10) return Number.NaN
  let value = 0
  for (let index = 0; index < length; index++) {
    const digit = text.charCodeAt(index) - 48
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/** Microseconds with commas between; `-`: none. Null: it is no such list, or too long. */
function timesOf(text: string): number[] | null {
  if (text === '-') return []
  const times = text.split(',', 101).map((micro) => wholeOf(micro) / 1000)
  return times.length > 100 || times.some(Number.isNaN) ? null : times
}

function failureOf(kind: ProbeFailureKind, layer: string, detail: string | undefined): ProbeFailure | null {
  const [where, what] = [unquoted(layer), detail === undefined ? undefined : unquoted(detail)]
  if (where === null || what === null) return null
  return what === undefined ? { kind, layer: where } : { kind, layer: where, detail: what }
}

function unquoted(text: string): string | null {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** For callers that hand in a name: what a vantage may be called. @throws PintailError `invalid_options` */
export function checkVantageName(vantage: string): void {
  // The same as for the names in core's `policy.detect.vantages`.
  if (typeof vantage === 'string' && /^[a-z0-9][\w.-]{0,99}$/i.test(vantage)) return
  throw new PintailError(
    'invalid_options',
    `vantage: ${errorText(vantage)} is no name: a letter or digit, then up to 99 of these, ., _ and -`,
  )
}
