/** The view for a terminal: `render` is pure, from a scene to lines; `Screen` brings lines to a terminal and back out. */
import type { DecisionRecord, FleetStatus, Policy, ServerReport } from '@pintail/core'
import { figuresOf, type Outage, type Share } from './outages.ts'
import { bar, clip, clockTime, count, duration, fit, type Line, type Span, type Tone, width, wrap } from './text.ts'
import { exclusions, type Mover, whyFor, whyShort, whyTable, whyUser } from './why.ts'
import { causeOf, type Entry } from './words.ts'

/** All that is on the screen. */
export interface Scene {
  readonly now: number
  readonly startedAt: number
  readonly policy: Policy
  readonly users: number
  readonly status: FleetStatus
  /** Newest first. */
  readonly outages: readonly Outage[]
  /** Newest last. */
  readonly log: readonly Entry[]
  /** The newest decision. */
  readonly decision: DecisionRecord | null
  /** The first user who has moved by it; null: nobody has yet. */
  readonly mover: Mover | null
  readonly showWhy: boolean
  readonly hasKeyboard: boolean
}

export interface Size {
  readonly columns: number
  readonly rows: number
}

const smallest: Size = { columns: 40, rows: 18 }

/** The lines of one frame: never more than `rows`, never wider than `columns`. */
export function render(scene: Scene, { columns, rows }: Size): Line[] {
  if (columns < smallest.columns || rows < smallest.rows)
    return [clip([`Too small: ${smallest.columns}x${smallest.rows} needed`], columns)].slice(0, rows)
  const servers = serverTable(scene, columns)
  const rest = rows - servers.length - 5
  // At least two lines, so that the log does not jump with every piece of news.
  const panel = outageLines(scene, columns, Math.max(1, Math.min(14, Math.ceil(rest * (scene.showWhy ? 0.3 : 0.65)))))
  const panelRows = Math.min(rest, Math.max(2, panel.length))
  const logRows = Math.max(0, rest - panelRows)
  const below = scene.showWhy ? whyLines(scene, columns, logRows) : logLines(scene, columns, logRows)
  return [
    header(scene, columns),
    [],
    ...servers,
    title('Outages', columns),
    ...exactly(panel, panelRows),
    title(scene.showWhy ? 'Why' : 'Log', columns),
    ...exactly(below, logRows),
    keys(scene, columns),
  ].map((line) => clip(line, columns))
}

function exactly(lines: readonly Line[], rows: number): Line[] {
  return Array.from({ length: rows }, (_, index) => lines[index] ?? [])
}

function title(word: string, columns: number): Line {
  return [
    ['── ', 'quiet'],
    [word, 'strong'],
    [` ${'─'.repeat(Math.max(0, columns - word.length - 4))}`, 'quiet'],
  ]
}

/** `left` and `right` at the edges of a line. */
function edges(left: Line, right: Line, columns: number): Line {
  const room = columns - width(right) - 1
  return room < 10 ? left : [...fit(left, room), ...right, ' ']
}

function header({ status, policy, users, now, startedAt }: Scene, columns: number): Line {
  const mode = policy.mode['server-down']
  const left: Span[] = [' ', ['Pintail', 'strong'], '  mode ', [mode, mode === 'auto' ? 'good' : 'alarm'], `  ${status.state}`]
  if (columns >= 70) left.push(`  ${count(users, 'user')} on ${count(status.servers.length, 'server')}`)
  if (status.pauses.length > 0) left.push('  ', ['‖ PAUSED', 'alarm'])
  if (status.registry.stale) left.push('  ', ['! books unreadable', 'bad'])
  return edges(left, [[clockTime(now - startedAt), 'quiet']], columns)
}

// ------------------------------------------------------------------------------------------------------------ servers

/** A state is told three times: by colour, by symbol and by word. */
export interface State {
  readonly symbol: string
  readonly word: string
  readonly tone: Tone
}

export function stateOf({ verdict: { verdict, reasons } }: Pick<ServerReport, 'verdict'>): State {
  switch (verdict) {
    case 'up':
      return { symbol: '●', word: 'up', tone: 'good' }
    case 'suspect':
      return { symbol: '▲', word: 'suspect', tone: 'warn' }
    case 'unknown':
      return { symbol: '○', word: 'unknown', tone: 'quiet' }
    case 'down':
      if (reasons[0].code === 'recovering') return { symbol: '◐', word: 'returning', tone: 'warn' }
      return { symbol: '✗', word: 'down', tone: 'bad' }
    default:
      return verdict satisfies never
  }
}

function serverTable(scene: Scene, columns: number): Line[] {
  const { servers } = scene.status
  const has = { region: columns >= 72, rtt: columns >= 56, books: columns >= 100, address: columns >= 120 }
  const barWide = columns >= 120 ? 24 : columns >= 56 ? 10 : 6
  const cells = (values: {
    key: Line
    name: Line
    region: Line
    address: Line
    state: Line
    load: Line
    rtt: Line
    books: Line
    why: Line
  }): Line => [
    ...fit(values.key, -2),
    ' ',
    ...fit(values.name, 7),
    ...(has.region ? fit(values.region, 11) : []),
    ...(has.address ? fit(values.address, 18) : []),
    ...fit(values.state, 12),
    ...fit(values.load, barWide + 7),
    ...(has.rtt ? fit(values.rtt, -6) : []),
    '  ',
    ...(has.books ? fit(values.books, 9) : []),
    ...values.why,
  ]
  const head = (text: string): Line => [[text, 'quiet']]
  return [
    cells({
      key: head('#'),
      name: head('server'),
      region: head('region'),
      address: head('address'),
      state: head('state'),
      load: head('users'),
      rtt: head('rtt'),
      books: head('books'),
      why: head('why'),
    }),
    ...servers.map((server, index) => {
      const { symbol, word, tone } = stateOf(server)
      const { load, capacity, reserved, rttMs, lastSample } = server
      const users = load === null ? '?' : String(load)
      return cells({
        key: [[String(index + 1), 'key']],
        name: [server.name],
        region: [server.region ?? ''],
        address: [server.host],
        state: [[`${symbol} ${word}`, tone]],
        load: [...bar(load ?? 0, capacity ?? 0, barWide, tone === 'bad' ? 'bad' : 'good', reserved), ` ${users}/${capacity ?? '∞'}`],
        rtt: lastSample?.received ? [rttText(rttMs)] : [['–', 'quiet']],
        books: [[server.status, server.status === 'online' ? 'quiet' : 'warn']],
        why: whyServer(server, scene, has.books),
      })
    }),
  ]
}

/** Calm: below a millisecond the digits would only flicker. */
function rttText(ms: number | null): string {
  if (ms === null) return ''
  return ms < 1 ? '<1 ms' : `${Math.round(ms)} ms`
}

function whyServer(server: ServerReport, { policy }: Scene, full: boolean): Line {
  const { fillLimit } = policy.placement
  const { verdict, penalty, load, capacity, status, lastSample } = server
  const failure = lastSample?.failure
  const cause = full || !failure ? causeOf(server) : `${failure.layer} ${failure.kind.replace('_', ' ')}`
  const offline = status === 'online' || full ? '' : `, ${status}`
  if (verdict.verdict === 'up') {
    if (penalty >= policy.guards.dampingCeiling) return [['fails too often', 'warn']]
    const full = load !== null && capacity !== null && load >= Math.floor(capacity * fillLimit)
    return full ? [[`filled to ${Math.round(fillLimit * 100)} %`, 'quiet']] : []
  }
  if (verdict.reasons[0].code === 'recovering') return [[verdict.reasons[0].message.replace(' needed', ''), 'warn']]
  return [[`${cause ?? verdict.reasons[0].message}${offline}`, stateOf(server).tone]]
}

// ------------------------------------------------------------------------------------------------------------ outages

/** Recovered outages that are still shown. */
const mostOver = 3

interface Block {
  readonly head: Line
  /** In order of importance. */
  readonly more: (rows: number) => Line[]
}

function outageLines(scene: Scene, columns: number, rows: number): Line[] {
  const suspects = suspectLines(scene, columns).slice(0, Math.max(1, rows - 1))
  const { outages } = scene
  if (outages.length === 0 && suspects.length === 0) {
    const hint = scene.hasKeyboard ? ' Press a number to kill a server.' : ''
    return [[[' none so far.', 'quiet'], hint]]
  }
  const open = outages.filter(({ recoveredAt }) => recoveredAt === null)
  const over = outages.filter(({ recoveredAt }) => recoveredAt !== null)
  const block = (outage: Outage): Block => blockOf(outage, scene, columns)
  const blocks = open.slice(0, rows - suspects.length).map(block)
  let left = rows - suspects.length - blocks.length
  const lines = blocks.flatMap(({ head, more }) => {
    const below = left > 0 ? more(left).slice(0, left) : []
    left -= below.length
    return [head, ...below]
  })
  // What is over gets what is left, and little of it.
  return [...suspects, ...lines, ...over.slice(0, Math.min(left, mostOver)).map((outage) => block(outage).head)]
}

/** A server that fails its checks and is not down yet: how far the confirmation is. */
function suspectLines({ status, now, policy }: Scene, columns: number): Line[] {
  const confirmMs = policy.detect.confirm?.durationMs ?? 0
  return status.servers
    .filter(({ verdict }) => verdict.verdict === 'suspect')
    .map(({ name, verdict }) => {
      const forMs = Math.min(confirmMs, Math.max(0, now - verdict.since))
      const wide = columns >= 72 ? 20 : 8
      return [
        ' ',
        [`▲ ${name}`, 'warn'],
        '  confirming ',
        ...bar(forMs, confirmMs, wide, 'warn'),
        ` ${(forMs / 1000).toFixed(1)} of ${(confirmMs / 1000).toFixed(1)} s`,
      ]
    })
}

function blockOf(outage: Outage, scene: Scene, columns: number): Block {
  const { server, heldBy, shares, users, unplaced, endedAt, cancelledWhy, recoveredAt, killedAt, openedAt, suspectedAt } = outage
  const { detectMs, moveMs, moved, targets } = figuresOf(outage)
  const found = detectMs === null ? '' : `, found in ${duration(detectMs)}`
  const none = () => []
  const where = (): Line[] =>
    targets.length === 0 ? [] : [['    ', ['to ', 'quiet'], targets.map((target) => `${target.server} ${target.users}`).join(', ')]]
  const named = (symbol: string, tone: Tone, ...rest: Span[]): Line => [' ', [`${symbol} ${server}`, tone], '  ', ...rest]

  if (recoveredAt !== null) {
    const status = outage.statusRestored ? 'status restored' : (outage.advice ?? 'status untouched')
    const after = duration(recoveredAt - (killedAt ?? suspectedAt))
    return {
      head: named('●', 'good', `back after ${after}, ${status}`, moved > 0 ? `; ${count(moved, 'user')} had been moved` : ''),
      more: none,
    }
  }
  const [guard] = heldBy
  if (guard) {
    const progress = users > 0 ? `${moved}/${users} moved; ` : ''
    return {
      head: named('‖', 'alarm', [`${progress}held: ${guard.guard.replace('_', ' ')}`, 'alarm'], found),
      more: () => wrap(`${guard.message}. ${guard.remedy}`, columns - 5).map((line): Line => ['    ', [line, 'quiet']]),
    }
  }
  if (outage.evacuationId === null) {
    const what = outage.decisionId === null ? 'down: deciding' : 'down; mode observe: nothing is done (w: what would be)'
    return { head: named('✗', 'bad', what, found), more: none }
  }
  if (outage.awaitsApproval)
    return {
      head: named('?', 'alarm', `plan for ${count(users, 'user')}: `, ['press a to approve', 'alarm'], found),
      more: (left) => [...shareLines(shares, columns, left), ...whyLine(outage, scene)],
    }
  const rest = unplaced > 0 ? ([` (${unplaced} found no room)`, 'alarm'] as const) : ''
  if (endedAt !== null) {
    const took = moveMs === null ? '' : ` in ${duration(moveMs)}`
    const how = cancelledWhy === null ? `evacuated: ${moved} of ${users} moved` : `ended with ${moved} of ${users} moved`
    return { head: named('✗', 'bad', [how + took, unplaced > 0 ? 'warn' : 'good'], rest, found), more: where }
  }
  const age = duration(Math.max(0, scene.now - (killedAt ?? openedAt)))
  return {
    head: named('✗', 'bad', ['evacuating ', 'busy'], `${moved}/${users}`, rest, found, [`, down ${age}`, 'quiet']),
    more: (left) => {
      const why = whyLine(outage, scene)
      const bars = shareLines(shares, columns, Math.max(1, left - why.length))
      return [...bars, ...why]
    },
  }
}

function whyLine({ decisionId }: Outage, { decision }: Scene): Line[] {
  const why = decision && decision.id === decisionId ? whyShort(decision) : null
  return why === null ? [] : [['    ', [why, 'quiet']]]
}

/** A bar for each target: one a line where that fits, else side by side, and a figure for those that do not fit at all. */
function shareLines(shares: readonly Share[], columns: number, rows: number): Line[] {
  const narrowest = 22
  const across = Math.max(1, Math.min(Math.ceil(shares.length / Math.max(1, rows)), Math.floor((columns - 4) / narrowest)))
  const each = Math.floor((columns - 4) / across)
  const barWide = Math.max(3, Math.min(30, each - 19))
  const fits = shares.length <= across * rows ? shares.length : across * rows - 1
  const cells = shares.slice(0, fits).map(({ to, moved, failed, users, status }): Line => {
    const tone: Tone = status === 'failed' || status === 'cancelled' ? 'warn' : moved === users ? 'good' : 'busy'
    const word = status === 'completed' ? '' : failed > 0 ? `${failed} failed` : status
    return [
      ...fit([`→ ${to}`], 9),
      ...bar(moved, users, barWide, tone),
      ...fit([` ${moved}/${users}`], 8),
      ...(across === 1 ? ([[word, 'quiet']] as const) : []),
    ]
  })
  if (fits < shares.length) cells.push([[`and ${shares.length - fits} more`, 'quiet']])
  const lines: Line[] = []
  for (let from = 0; from < cells.length; from += across)
    lines.push(['    ', ...cells.slice(from, from + across).flatMap((cell) => (across === 1 ? cell : fit(cell, each)))])
  return lines
}

// --------------------------------------------------------------------------------------------------- log, why, keys

function logLines({ log, startedAt }: Scene, columns: number, rows: number): Line[] {
  const indent = 17
  const lines: Line[] = []
  // From the newest backwards, as long as they fit as a whole: half a sentence says nothing. But there is always news.
  for (const { at, tag, tone, text } of log.slice(-rows).reverse()) {
    const [first = '', ...more] = wrap(text, columns - indent - 1)
    const entry: Line[] = [
      [' ', [clockTime(at - startedAt), 'quiet'], ' ', ...fit([[tag, tone]], 10), first],
      ...more.map((line): Line => [' '.repeat(indent), line]),
    ]
    if (lines.length > 0 && lines.length + entry.length > rows) break
    lines.unshift(...entry.slice(0, rows))
  }
  return lines
}

function whyLines({ decision, mover }: Scene, columns: number, rows: number): Line[] {
  if (!decision) return [[['  no decision yet: kill a server first (w: back to the log)', 'quiet']]]
  const whole = mover ? whyUser(decision, mover, columns) : []
  // As far as there is room; a terminal that is too low for one user's shows the largest group.
  if (whole.length > 0 && whole.length <= rows) return whole.map((line) => clip([' ', ...line], columns))
  const not = exclusions(decision)
  const room = Math.max(1, rows - 2 - not.length)
  return [[' ', whyFor(decision)], ...whyTable(decision, room), ...not].map((line) => clip(line, columns))
}

function keys({ hasKeyboard, outages, status, showWhy }: Scene, columns: number): Line {
  if (!hasKeyboard) return [[' Ctrl-C quits (keys need a terminal at the input)', 'quiet']]
  const waits = outages.some(({ awaitsApproval, recoveredAt }) => awaitsApproval && recoveredAt === null)
  const wide = columns >= 60
  const legend: [key: string, word: string][] = [
    [`1-${status.servers.length || 8}`, wide ? 'kill, revive' : 'kill'],
    ['p', status.pauses.length > 0 ? 'resume' : 'pause'],
    ...(waits ? [['a', 'approve'] as [string, string]] : []),
    ...(wide
      ? ([
          ['m', 'mode'],
          ['w', showWhy ? 'log' : 'why'],
        ] as [string, string][])
      : []),
    ['q', 'quit'],
  ]
  const gap = wide ? '   ' : '  '
  return legend.flatMap(([key, word]): Span[] => [' ', [key, 'key'], word === 'approve' ? [` ${word}`, 'alarm'] : ` ${word}`, gap.slice(1)])
}

// ----------------------------------------------------------------------------------------------------------- terminal

/** The part of a terminal that is used here. */
export interface Terminal {
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

/**
 * Owns the terminal between `enter` and `leave`: the alternate screen, no cursor, no line wrap. Writes only the lines
 * that have changed, all of a frame in one write. `leave` may be called at any time, also twice.
 */
export class Screen {
  readonly #terminal: Terminal
  #shown: string[] | null = null
  #size = ''

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  get size(): Size {
    return { columns: this.#terminal.columns ?? 80, rows: this.#terminal.rows ?? 24 }
  }

  enter(): void {
    if (this.#shown) return
    this.#shown = []
    this.#size = ''
    this.#terminal.write('\x1b[?1049h\x1b[?25l\x1b[?7l')
  }

  draw(lines: readonly string[]): void {
    if (!this.#shown) return
    const { columns, rows } = this.size
    const size = `${columns}x${rows}`
    let frame = ''
    if (size !== this.#size) {
      this.#size = size
      this.#shown = []
      frame += '\x1b[2J'
    }
    const shown = this.#shown
    for (let row = 0; row < Math.max(lines.length, shown.length); row++) {
      const line = lines[row] ?? ''
      // Cleared before it is written: after a line that fills the width the cursor still stands in its last column.
      if (shown[row] !== line) frame += `\x1b[${row + 1};1H\x1b[2K${line}`
    }
    this.#shown = [...lines]
    // Synchronized update: terminals that know it show the frame at once, the others ignore it.
    if (frame !== '') this.#terminal.write(`\x1b[?2026h${frame}\x1b[?2026l`)
  }

  leave(): void {
    if (!this.#shown) return
    this.#shown = null
    this.#terminal.write('\x1b[?2026l\x1b[?7h\x1b[?25h\x1b[?1049l')
  }
}
