import { type KeptRun, policies, short, shown } from './detection.ts'

const width = 760
const height = 560
const plot = { left: 86, right: 736, top: 100, bottom: 484 } as const
/** Seconds, and false alarms a server-year. */
const range = { x: [4, 1500], y: [0.0004, 1_000_000] } as const

const log = (value: number, [low, high]: readonly [number, number]): number => Math.log(value / low) / Math.log(high / low)
const x = (seconds: number): number => round(plot.left + log(seconds, range.x) * (plot.right - plot.left))
const y = (perYear: number): number => round(plot.bottom - log(Math.max(perYear, range.y[0]), range.y) * (plot.bottom - plot.top))
const round = (value: number): number => Math.round(value * 10) / 10

/** Where a label stands, seen from its dot, and whether a line leads there: chosen by eye, so that none lies over another. */
const labels: Readonly<Record<string, { dx: number; dy: number; anchor: 'start' | 'middle'; leads?: true; note?: string }>> = {
  'default-3v': { dx: -14, dy: -86, anchor: 'start', leads: true },
  default: { dx: 16, dy: 44, anchor: 'start', leads: true },
  cusum: { dx: 46, dy: -50, anchor: 'start', leads: true, note: ', finds grey failures too' },
  'seed-budget': { dx: 12, dy: -24, anchor: 'start' },
  seed: { dx: 0, dy: -28, anchor: 'middle' },
  'one-miss': { dx: 0, dy: 24, anchor: 'start', note: ': one missed check is down' },
}
const titles: Readonly<Record<string, string>> = { 'default-3v': 'default, 3 vantages' }

/** Time to detect an outage against false alarms, a dot a policy. Light and dark come from the reader's system. */
export function detectionPicture(run: KeptRun): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title desc">`,
    '<title id="title">How soon an outage is found, and how often a healthy server is called down</title>',
    `<desc id="desc">${policies.map((name) => described(run, name)).join(' ')}</desc>`,
    `<style>${style}</style>`,
    `<rect class="ground" width="${width}" height="${height}" rx="8"/>`,
    '<text class="headline" x="24" y="34">Sooner is left, calmer is down</text>',
    '<text class="note" x="24" y="54">Time: an outage where 2 % are lost evenly; dot: median, line: to 99 %. False alarms: where 5 % are lost in bursts.</text>',
    ...axes(),
    ...aims(run),
    ...policies.map((name) => dot(run, name)),
    '</svg>',
    '',
  ].join('\n')
}

function described(run: KeptRun, name: string): string {
  const one = shown(run, name)
  return `${name}: ${short(one.p50)} seconds, ${short(one.bursty)} false alarms a server-year.`
}

function axes(): string[] {
  const xs = [
    [5, '5 s'],
    [10, '10 s'],
    [30, '30 s'],
    [60, '1 min'],
    [300, '5 min'],
    [900, '15 min'],
  ] as const
  const ys = [
    [0.001, '1 in 1000 y'],
    [0.01, '1 in 100 y'],
    [0.1, '1 in 10 y'],
    [1, '1 a year'],
    [12, '1 a month'],
    [365, '1 a day'],
    [8766, '1 an hour'],
    [525_960, '1 a minute'],
  ] as const
  return [
    ...xs.map(
      ([at, text]) =>
        `<path class="grid" d="M${x(at)} ${plot.top}V${plot.bottom}"/><text class="tick" x="${x(at)}" y="${plot.bottom + 20}" text-anchor="middle">${text}</text>`,
    ),
    ...ys.map(
      ([at, text]) =>
        `<path class="grid" d="M${plot.left} ${y(at)}H${plot.right}"/><text class="tick" x="${plot.left - 8}" y="${y(at) + 4}" text-anchor="end">${text}</text>`,
    ),
    `<path class="frame" d="M${plot.left} ${plot.top}V${plot.bottom}H${plot.right}"/>`,
    `<text class="axis" x="${(plot.left + plot.right) / 2}" y="${plot.bottom + 46}" text-anchor="middle">time until a dead server is called down (logarithmic)</text>`,
    `<text class="axis" x="24" y="${plot.top - 16}">false alarms of one healthy server (logarithmic)</text>`,
  ]
}

/** Where a dot must lie: left of the corner, and below it. */
function aims(run: KeptRun): string[] {
  const limit = (name: string, metric: string): number => {
    const line = run.lines.find((one) => one.case === name && one.metric === metric)
    const found = line && 'aim' in line ? /^value<=(.+)$/.exec(line.aim ?? '')?.[1] : undefined
    if (found === undefined) throw new Error(`the kept run has no aim for ${metric} of ${name}`)
    return Number(found)
  }
  return ['default-3v', 'default', 'seed-budget'].flatMap((name, place) => {
    const right = x(limit(`${name}/outage/even2`, 'down_p50_s'))
    const above = y(limit(`${name}/healthy/bursty5`, 'false_down_per_server_year'))
    const text = place === 2 ? `<text class="aim" x="${right + 6}" y="${above + 4}">aims: left of a corner and below it</text>` : ''
    return [`<path class="corner" d="M${plot.left} ${above}H${right}V${plot.bottom}"/>${text}`]
  })
}

function dot(run: KeptRun, name: string): string {
  const { p50, p99, bursty } = shown(run, name)
  const label = labels[name]
  if (!label) throw new Error(`${name} has no place for its label`)
  const [left, right, up] = [x(p50), x(p99), y(bursty)]
  const kind = name === 'seed' || name === 'one-miss' ? 'other' : 'ours'
  const [atX, atY] = [left + label.dx, up + label.dy]
  const figures = `${name === 'seed' ? `${short(p50 / 60)} min` : `${short(p50)} s`}, ${perYear(bursty)}`
  return [
    `<g class="${kind}">`,
    label.leads ? `<path class="leader" d="M${left} ${up}L${atX + 14} ${label.dy > 0 ? atY - 13 : atY + 19}"/>` : '',
    `<path class="reach" d="M${left} ${up}H${right}"/><circle cx="${left}" cy="${up}" r="6"/>`,
    `<text class="label" x="${atX}" y="${atY}" text-anchor="${label.anchor}">${titles[name] ?? name}<tspan class="more">${label.note ?? ''}</tspan></text>`,
    `<text class="figures" x="${atX}" y="${atY + 14}" text-anchor="${label.anchor}">${figures}</text></g>`,
  ].join('')
}

function perYear(rate: number): string {
  if (rate >= 8766) return `${short(rate / 8766)} an hour`
  return rate >= 1 ? `${short(rate)} a year` : `1 in ${1 / rate < 5 ? short(1 / rate) : Math.round(1 / rate)} years`
}

const style = [
  'text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:#24292f}',
  '.label,.figures,.aim{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}',
  '.ground{fill:#fff}.headline{font-size:18px;font-weight:600}.note,.axis{font-size:12px;fill:#57606a}.tick,.figures{font-size:11px;fill:#57606a}',
  '.label{font-size:13px;font-weight:600}.more{font-weight:400}.aim{font-size:11px;fill:#6e7781;font-style:italic}',
  '.grid{stroke:#eaeef2;fill:none}.frame{stroke:#d0d7de;fill:none}.corner{stroke:#8c959f;stroke-dasharray:4 4;fill:none}.leader{stroke:#8c959f;fill:none}',
  '.reach{stroke-width:3;stroke-linecap:round;fill:none;opacity:.45}.ours circle{fill:#0969da}.ours .reach{stroke:#0969da}.other circle{fill:#bc4c00}.other .reach{stroke:#bc4c00}',
  '@media(prefers-color-scheme:dark){text{fill:#e6edf3}.label,.figures,.aim{stroke:#0d1117}.ground{fill:#0d1117}.note,.axis,.tick,.figures{fill:#9198a1}.aim{fill:#848d97}.grid{stroke:#21262d}.frame{stroke:#3d444d}.corner,.leader{stroke:#6e7681}',
  '.ours circle{fill:#58a6ff}.ours .reach{stroke:#58a6ff}.other circle{fill:#f0883e}.other .reach{stroke:#f0883e}}',
].join('')
