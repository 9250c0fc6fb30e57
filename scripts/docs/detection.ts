import type { BenchLine } from '../../bench/harness.ts'

/** A run of the benchmark `detect` as it is kept in docs/detection.json. */
export interface KeptRun {
  readonly date: string
  readonly lines: readonly BenchLine[]
}

/** What the page and the picture show of a policy. */
export interface Shown {
  readonly name: string
  readonly packets: number
  readonly p50: number
  readonly p99: number
  readonly bursty: number
  readonly burstyHigh: number
  readonly even: string
}

/** In the order of the page: the policies of the aims, then what they are compared with. */
export const policies = ['default', 'default-3v', 'cusum', 'seed-budget', 'seed', 'one-miss'] as const

/** A measured figure; null: it was skipped, or is not in this run. */
function figure({ lines }: KeptRun, name: string, metric: string): number | null {
  const line = lines.find((one) => one.case === name && one.metric === metric)
  return line && 'value' in line ? line.value : null
}

function need(run: KeptRun, name: string, metric: string): number {
  const value = figure(run, name, metric)
  if (value === null) throw new Error(`the kept run has no ${metric} of ${name}: npm run docs:detect -- --measure`)
  return value
}

export function shown(run: KeptRun, name: string): Shown {
  const false5 = `${name}/healthy/bursty5`
  return {
    name,
    packets: need(run, `${name}/healthy/even2`, 'packets_per_server_minute'),
    p50: need(run, `${name}/outage/even2`, 'down_p50_s'),
    p99: need(run, `${name}/outage/even2`, 'down_p99_s'),
    bursty: need(run, false5, 'false_down_per_server_year'),
    burstyHigh: need(run, false5, 'false_down_per_server_year_high'),
    even: rate(run, `${name}/healthy/even2`),
  }
}

/** Below one in a million years only the size says anything. */
function rate(run: KeptRun, name: string): string {
  const value = figure(run, name, 'false_down_per_server_year')
  const bound = figure(run, name, 'false_down_per_server_year_bound')
  if (value !== null) return value < 1e-6 ? '< 0.000001' : short(value)
  if (bound === null) throw new Error(`the kept run has no false alarms of ${name}`)
  return `< ${short(bound)}`
}

/** At most three digits that count; thousands apart. */
export function short(value: number): string {
  if (value === 0) return '0'
  const digits = Number(value.toPrecision(value >= 100 ? 3 : 2))
  return digits >= 10_000 ? digits.toLocaleString('en').replaceAll(',', ' ') : `${digits}`
}

const seconds = (value: number): string => (value >= 120 ? `${short(value / 60)} min` : `${short(value)} s`)

/** The median where it is found, else in what share of trials it was. */
function medianOf(run: KeptRun, name: string): string {
  const value = figure(run, name, 'down_p50_s')
  if (value !== null) return seconds(value)
  const found = need(run, name, 'found')
  return found === 0 ? 'not found' : `found in ${Math.round(found * 100)} %`
}

const [begin, finish] = ['<!-- begin: npm run docs:detect -->', '<!-- end -->']

/** The page with what was made of the kept run between its markers. */
export function withFigures(page: string, run: KeptRun): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(finish)]
  if (from === -1 || to < from) throw new Error(`the markers are missing: ${begin} … ${finish}`)
  return `${page.slice(0, from + begin.length)}\n\n${detectionTable(run)}\n\n${page.slice(to)}`
}

/** The table between the markers of docs/detection.md. */
function detectionTable(run: KeptRun): string {
  const head = [
    'policy',
    'packets a minute',
    'outage, median / 99 %',
    'half of the packets lost',
    '30 % lost',
    '400 ms instead of 40',
    'false alarms a server-year: even 2 % / bursts 5 %',
    'moves: ten flaps an hour',
    'moves: prober cut off, of 10 servers',
  ]
  const rows = policies.map((name) => {
    const one = shown(run, name)
    const p50 = (fault: string) => medianOf(run, `${name}/${fault}/even2`)
    const moves = (fault: string) => `${need(run, `${name}/${fault}/even2`, 'moves')}`
    return [
      `\`${name}\``,
      short(one.packets),
      `${seconds(one.p50)} / ${seconds(one.p99)}`,
      p50('loss50'),
      p50('loss30'),
      p50('slow400'),
      `${one.even} / ${short(one.bursty)}`,
      moves('flap'),
      moves('prober-partition'),
    ]
  })
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    row(head),
    row(head.map(() => '---')),
    ...rows.map(row),
    '',
    `Measured ${run.date}, in virtual time.`,
    '',
    ...aims(run),
    ...ways(run),
  ].join('\n')
}

function aims({ lines }: KeptRun): string[] {
  const judged = lines.flatMap((line) => ('aim' in line && line.ok !== undefined ? [line.ok] : []))
  const missed = lines.flatMap((line) => ('aim' in line && line.ok === false ? [`${line.case} ${line.metric}`] : []))
  const met = judged.length - missed.length
  return [
    `Of ${judged.length} aims ${met === judged.length ? 'all are' : `${met} are`} met${missed.length > 0 ? `; missed: ${missed.join(', ')}` : ''}.`,
    '',
  ]
}

/** Why packets of `cusum` are 2 s apart. */
function ways(run: KeptRun): string[] {
  const rows = [
    ['500 ms', 'cusum-500ms'],
    ['1 s', 'cusum-1000ms'],
    ['2 s (default)', 'cusum'],
    ['4 s', 'cusum-4000ms'],
  ].map(([label, name]) => {
    const found = need(run, `${name}/loss30/even2`, 'down_p50_s')
    return `| ${label} | ${seconds(found)} | ${short(need(run, `${name}/healthy/bursty5`, 'false_down_per_server_year'))} |`
  })
  const over = need(run, 'cusum/loss30/even2', 'over_lorden_bound')
  const [packets, bound] = [need(run, 'cusum/loss30/even2', 'packets_to_down'), need(run, 'cusum/loss30/even2', 'lorden_bound')]
  return [
    '| `cusum`: packets under suspicion each | 30 % loss found, median | false alarms a server-year, bursts 5 % |',
    '| --- | --- | --- |',
    ...rows,
    '',
    `At 2 s it needs ${short(packets)} packets on average to find 30 % loss. Lorden's bound, which no detector with as few false alarms can beat, is ${short(bound)}: ${over.toFixed(2)} times as many.`,
  ]
}
