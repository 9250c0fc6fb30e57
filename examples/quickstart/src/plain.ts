/** The view for pipes, logs and `--once`: lines that say when, what and why, and never move the cursor. */

import { figuresOf, type Outage, type Share } from './outages.ts'
import { bar, plain as bare, clip, count, duration, fit, type Line, type Paint, type Span, wrap } from './text.ts'
import type { Entry } from './words.ts'
import type { Books } from './world.ts'

const stampWide = 9
const tagWide = 10
/** Progress is told at most this often. */
const progressEveryMs = 400

export class PlainView {
  readonly #write: (text: string) => void
  readonly #paint: Paint
  readonly #startedAt: number
  readonly #wide: number
  #toldAt = 0
  #spaced = false

  /** @param wide columns; text is wrapped there, so that a log stays readable */
  constructor(write: (text: string) => void, paint: Paint, startedAt: number, wide: number) {
    this.#write = write
    this.#paint = paint
    this.#startedAt = startedAt
    this.#wide = wide
  }

  /** One piece of news, e.g. `  +3.2 s  DOWN      ams-1: tcp refused`. */
  entry({ at, tag, tone, text, remedy }: Entry): void {
    const indent = stampWide + 2 + tagWide
    const [first = '', ...rest] = wrap(remedy ? `${text}. ${remedy}` : text, Math.max(20, this.#wide - indent))
    this.#lines([[...this.#stamp(at), ...fit([[tag, tone]], tagWide), first], ...rest.map((line): Line => [' '.repeat(indent), line])])
    this.#spaced = false
  }

  /** A table, with air around it. */
  block(lines: readonly Line[]): void {
    this.#lines([...(this.#spaced ? [] : [[]]), ...lines, []])
    this.#spaced = true
  }

  /** One bar for the evacuation and the figures of each target, at most every 400 ms; the full bar always. */
  progress(outage: Outage, at: number): void {
    const { shares } = outage
    const sum = (of: (share: Share) => number): number => shares.reduce((total, share) => total + of(share), 0)
    const users = sum((share) => share.users)
    const moved = sum((share) => share.moved)
    const settled = moved + sum((share) => share.failed) >= users
    if (users === 0 || (!settled && at - this.#toldAt < progressEveryMs)) return
    this.#toldAt = at
    const targets = shares.map((share) => `${share.to} ${share.moved}/${share.users}`).join(', ')
    const line = [...bar(moved, users, 10, moved === users ? 'good' : 'busy'), ` ${moved}/${users}`.padEnd(9), targets]
    this.#lines([[...this.#stamp(at), ...fit([['moving', 'busy']], tagWide), ...clip(line, this.#wide - stampWide - tagWide - 2)]])
    this.#spaced = false
  }

  #stamp(at: number): Span[] {
    const seconds = `+${(Math.max(0, at - this.#startedAt) / 1000).toFixed(1)} s`
    return [...fit([[seconds, 'quiet']], -stampWide), '  ']
  }

  #lines(lines: readonly Line[]): void {
    this.#write(lines.map((line) => `${bare(line) === '' ? '' : this.#paint(line).trimEnd()}\n`).join(''))
  }
}

/** Who is where at the start. */
export function fleetTable(books: Books): Line[] {
  const rows = [...books.servers.values()].map(({ id, region, capacity, failureDomain, protocols, host, port }): Line => {
    const users = books.homes(id).length
    return [
      '  ',
      ...fit([id], 8),
      ...fit([region ?? ''], 7),
      ...bar(users, capacity, 10, 'good'),
      ...fit([`${users}/${capacity}`], -7),
      '  ',
      ...fit([failureDomain ?? ''], 9),
      ...fit([`${host}:${port}`], 17),
      (protocols ?? []).join(' '),
    ]
  })
  const head = `  ${'server'.padEnd(8)}${'region'.padEnd(7)}${'users'.padEnd(19)}${'domain'.padEnd(9)}${'address'.padEnd(17)}speaks`
  return [[[head, 'quiet']], ...rows]
}

/** What the outage cost, in figures. */
export function resultTable(outage: Outage, cause: string, before: ReadonlyMap<string, number>, books: Books): Line[] {
  const { detectMs, moveMs, moved, medianWaitMs, longestWaitMs, targets, recoverMs } = figuresOf(outage)
  const ms = (value: number | null): string => (value === null ? '–' : duration(value))
  const rows: [label: string, value: string, note: string][] = [
    ['server', outage.server, cause],
    ['time to detect', ms(detectMs), 'from the kill to the incident'],
    [
      'time to move',
      ms(moveMs),
      `from the ${outage.approvedAt !== null ? 'approval' : outage.releasedAt !== null ? 'release' : 'incident'} to the last user's new home`,
    ],
    ['users moved', `${moved} of ${outage.users}`, outage.unplaced === 0 ? 'nobody left' : `${count(outage.unplaced, 'user')} left`],
    ['a user waited', ms(medianWaitMs), `median; the longest ${ms(longestWaitMs)}`],
    ['time to recover', ms(recoverMs), outage.statusRestored ? 'from the revival to the restored status' : 'from the revival'],
  ]
  const lines: Line[] = [[['Result', 'strong']]]
  for (const [label, value, note] of rows)
    lines.push(['  ', ...fit([[label, 'quiet']], 17), ...fit([[value, 'strong']], 11), [note, 'quiet']])
  const wide = 14
  const head = `  ${'server'.padEnd(8)}${'users'.padStart(6)}  ${'before'.padEnd(wide + 8)}after (▒ has moved here)`
  lines.push([], [[head, 'quiet']])
  const gained = new Map(targets.map(({ server, users }) => [server, users]))
  for (const { id, capacity } of books.servers.values()) {
    const was = before.get(id) ?? 0
    const is = books.homes(id).length
    const change = is - was
    lines.push([
      '  ',
      ...fit([id], 8),
      ...fit([change > 0 ? [`+${change}`, 'good'] : change < 0 ? [`−${-change}`, 'warn'] : ['', 'quiet']], -6),
      '  ',
      ...bar(was, capacity, wide, 'good'),
      ...fit([` ${was}/${capacity}`], 8),
      ...bar(is, capacity, wide, 'good', gained.get(id) ?? 0),
      ` ${is}/${capacity}`,
    ])
  }
  return lines
}
