/** Pure text: styled spans, widths, bars, durations. Both views are made of it. */
import { styleText } from 'node:util'

/** What a piece of text means; `painter` turns it into colour. */
export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'quiet' | 'strong' | 'key' | 'alarm'
export type Span = string | readonly [text: string, tone: Tone]
export type Line = readonly Span[]
export type Paint = (line: Line) => string

const formats = {
  good: 'green',
  warn: 'yellow',
  bad: 'red',
  busy: 'cyan',
  quiet: 'dim',
  strong: 'bold',
  key: ['bold', 'cyan'],
  alarm: ['bold', 'yellow'],
} as const satisfies Record<Tone, Parameters<typeof styleText>[0]>

const textOf = (span: Span): string => (typeof span === 'string' ? span : span[0])

/** Plain text: what remains without colours must still say everything. */
export const plain: Paint = (line) => line.map(textOf).join('')

/** With colours where the stream shows them: `NO_COLOR`, `FORCE_COLOR` and a pipe are heeded. */
export function painter(stream: NodeJS.WriteStream): Paint {
  if (styleText('red', 'x', { stream }) === 'x') return plain
  return (line) =>
    line
      .map((span) => (typeof span === 'string' ? span : styleText([...[formats[span[1]]].flat()], span[0], { validateStream: false })))
      .join('')
}

// Every character that the views use is one column wide, so counting code points is measuring.
const columns = (text: string): number => [...text].length
export const width = (line: Line): number => columns(plain(line))

/** Cut to at most `most` columns, with an ellipsis where something is missing. */
export function clip(line: Line, most: number): Line {
  if (width(line) <= most) return line
  const out: Span[] = []
  let left = Math.max(0, most - 1)
  for (const span of line) {
    const part = [...textOf(span)].slice(0, left).join('')
    left -= columns(part)
    if (part !== '') out.push(typeof span === 'string' ? part : [part, span[1]])
    if (left === 0) break
  }
  return most > 0 ? [...out, '…'] : []
}

/** Exactly `wide` columns: clipped or padded; a negative width pads on the left. */
export function fit(line: Line, wide: number): Line {
  const size = Math.abs(wide)
  const clipped = clip(line, size)
  const gap = ' '.repeat(size - width(clipped))
  return wide < 0 ? [gap, ...clipped] : [...clipped, gap]
}

/** Words into lines of at most `most` columns; a longer word is cut. */
export function wrap(text: string, most: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && columns(last) + 1 + columns(word) <= most) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(plain(clip([word], most)))
  }
  return lines
}

/**
 * A bar of exactly `wide` columns. Nothing is drawn as full that is not full, and nothing as empty that is not empty.
 * @param reserved the last part of `value` that is promised and not yet there: drawn lighter
 */
export function bar(value: number, whole: number, wide: number, tone: Tone, reserved = 0): Line {
  const cells = (part: number): number => {
    if (!(whole > 0) || part <= 0) return 0
    if (part >= whole) return wide
    return Math.min(wide - 1, Math.max(1, Math.round((part / whole) * wide)))
  }
  const filled = Math.max(0, cells(value))
  const solid = Math.min(filled, cells(value - reserved))
  const spans: Span[] = [
    ['█'.repeat(solid), tone],
    ['▒'.repeat(filled - solid), 'busy'],
    ['░'.repeat(Math.max(0, wide - filled)), 'quiet'],
  ]
  return spans.filter((span) => textOf(span) !== '')
}

/** `850 ms`, `3.2 s`, `2 min 05 s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`
}

/** `mm:ss`, or `h:mm:ss`. */
export function clockTime(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const hours = Math.floor(seconds / 3600)
  return `${hours > 0 ? `${hours}:` : ''}${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`
