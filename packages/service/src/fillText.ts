import type { Utilisation } from '@pintail/core'
import { clip, type Paint } from './terminal.ts'

export interface Fill {
  readonly utilisation: readonly Utilisation[]
  /** Share of the capacity up to which servers are meant to be filled. */
  readonly fillLimit: number
  readonly nameOf: (id: string) => string
  readonly columns: number
  readonly paint: Paint
}

/** So many servers are drawn; of more the fullest afterwards. */
const mostServers = 20

/** How full each server is before and after, a line and two bars each. */
export function fillText({ utilisation, fillLimit, nameOf, columns, paint }: Fill): string {
  if (utilisation.length === 0) return ''
  const wide = columns >= 110 ? 24 : 12
  const fullest = utilisation
    .toSorted((a, b) => (b.shareAfter ?? b.loadAfter ?? 0) - (a.shareAfter ?? a.loadAfter ?? 0))
    .slice(0, mostServers)
  const shown = utilisation.filter((one) => fullest.includes(one))
  // Where no capacity is known, bars compare the servers with each other.
  const largest = Math.max(1, ...utilisation.flatMap(({ loadBefore, loadAfter }) => [loadBefore ?? 0, loadAfter ?? 0]))
  const loads = shown.map((one) => loadsOf(one))
  const loadWide = Math.max(...loads.map((text) => text.length))
  const nameWide = Math.min(
    24,
    columns - 2 * wide - loadWide - 26,
    Math.max(6, ...shown.map(({ serverId }) => [...nameOf(serverId)].length)),
  )
  const lines = shown.map((one, index) => {
    const { serverId, loadBefore, loadAfter, capacity } = one
    const change = loadBefore === null || loadAfter === null ? 0 : loadAfter - loadBefore
    const half = (load: number | null, share: number | null): string => {
      const tone = share !== null && share > fillLimit + 1e-9 ? paint.yellow : paint.green
      return `${tone(bar(load ?? 0, capacity ?? largest, wide))} ${percent(share)}`
    }
    const sign = `${change > 0 ? '+' : change < 0 ? '−' : ' '}${Math.abs(change)}`.padStart(7)
    const text = (loads[index] as string).padStart(loadWide)
    return `${clip(nameOf(serverId), nameWide).padEnd(nameWide)}${sign}  ${half(loadBefore, one.shareBefore)}  ${half(loadAfter, one.shareAfter)}  ${text}`
  })
  const title = `${'How full'.padEnd(nameWide)}${'users'.padStart(7)}  ${'now'.padEnd(wide + 5)}  ${'then'.padEnd(wide + 5)}  ${'load'.padStart(loadWide)}`
  const more = utilisation.length > shown.length ? [`… and ${utilisation.length - shown.length} servers that are less full`] : []
  const unknown = shown.some(({ capacity }) => capacity === null)
    ? [paint.dim('Bars of servers whose capacity is unknown are drawn against the largest load.')]
    : []
  return `${[paint.bold(title.trimEnd()), ...lines.map((line) => line.trimEnd()), ...more, ...unknown].join('\n')}\n`
}

function loadsOf({ loadBefore, loadAfter, capacity }: Utilisation): string {
  return `${loadBefore ?? '?'} → ${loadAfter ?? '?'}${capacity === null ? '' : ` of ${capacity}`}`
}

const percent = (share: number | null): string => (share === null ? '   –' : `${Math.round(100 * share)}%`.padStart(4))

/** Nothing is drawn as full that is not full, and nothing as empty that is not empty. */
function bar(value: number, whole: number, wide: number): string {
  const cells = value <= 0 ? 0 : value >= whole ? wide : Math.min(wide - 1, Math.max(1, Math.round((value / whole) * wide)))
  return '█'.repeat(cells) + '░'.repeat(wide - cells)
}
