import { type MetricSpec, prometheusCatalogue } from '@pintail/adapters/prometheus'

const begin = '<!-- begin: written by npm run docs:metrics -->'
const finish = '<!-- end -->'

/** Prometheus tells a histogram as three series; the table names what its `buckets` are. */
const typeOf = ({ type, buckets }: MetricSpec): string => (buckets ? `${type}: ${buckets.join(', ')}` : type)

function labelsOf({ labels }: MetricSpec): string {
  const told = Object.entries(labels).map(([label, values]) =>
    'open' in values ? `\`${label}\`: ${values.open}` : `\`${label}\`: ${values.join(', ')}`,
  )
  return told.join('; ') || '–'
}

/** The table of docs/metrics.md, from what the adapter registers. */
export function metricsTable(): string {
  const rows = Object.entries<MetricSpec>(prometheusCatalogue).map(
    ([name, spec]) => `| \`${name}\` | ${typeOf(spec)} | ${labelsOf(spec)} | ${spec.help}${spec.perServer ? ' (with `perServer`)' : ''} |`,
  )
  return ['| metric | type | labels | what it tells |', '|---|---|---|---|', ...rows].join('\n')
}

export function withMetrics(text: string, made: string): string {
  const [from, to] = [text.indexOf(begin), text.indexOf(finish)]
  if (from === -1 || to < from) throw new Error(`the markers are missing: ${begin} … ${finish}`)
  return `${text.slice(0, from + begin.length)}\n\n${made}\n\n${text.slice(to)}`
}
