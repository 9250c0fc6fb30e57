import { type CohortDecision, type Connection, cohortOf, type Plan, type ServerReport } from '@pintail/core'
import { fillText } from './fillText.ts'
import { clip, count, type Paint, table, wrap } from './terminal.ts'
import { whyText } from './whyText.ts'

interface Shown {
  readonly plan: Plan
  readonly servers: readonly ServerReport[]
  readonly fillLimit: number
  /** Names every user, and says of each group of them why. */
  readonly all: boolean
  readonly columns: number
  readonly paint: Paint
}

const fewWaves = 6

/** Who would go where, when, how full that makes the servers, why, and who would not. */
export function planText(given: Shown): string {
  // Wider than that no line is read more easily, and below it no table fits.
  const shown = { ...given, columns: Math.min(140, Math.max(80, given.columns)) }
  const { plan, servers, fillLimit, columns, paint } = shown
  const nameOf = (id: string): string => nameIn(id, servers)
  const fill = fillText({ utilisation: plan.placements.length > 0 ? plan.utilisation : [], fillLimit, nameOf, columns, paint })
  const parts = [headline(shown), where(shown), fill, when(shown), ...whys(shown), stranded(shown)]
  const end = paint.dim(`Nothing was changed. Fingerprint of this plan: ${plan.fingerprint}`)
  return `${[...parts, end].filter((part) => part !== '').join('\n')}\n`
}

function headline({ plan, servers, columns, paint }: Shown): string {
  const placed = plan.placements.reduce((sum, { connections }) => sum + connections.length, 0)
  const sources = plan.fromServerIds.map((id) => nameIn(id, servers)).join(', ')
  const listed = plan.coverage.kind === 'active' ? `${paint.dim('The database lists only those who were active lately.')}\n` : ''
  const total = placed + plan.unplaced.length
  const title = `Drain of ${clip(sources, columns - 30)}`
  const moved = total === 0 ? 'nobody is there' : `${count(total, 'user')} there; ${placed} would be moved`
  const rest = plan.unplaced.length === 0 ? '' : `, ${plan.unplaced.length} would stay without a place`
  const between = [...title, ...moved, ...rest].length + 3 > columns ? ':\n' : ': '
  return `${paint.bold(title)}${between}${moved}${paint.red(rest)}.\n${listed}`
}

/** The id, and the name where there is one. */
function nameIn(id: string, servers: readonly ServerReport[]): string {
  const name = servers.find(({ serverId }) => serverId === id)?.name
  return name === undefined || name === id ? id : `${id} (${name})`
}

function where({ plan, servers, all, columns, paint }: Shown): string {
  if (plan.placements.length === 0) return ''
  const hasSeveral = plan.fromServerIds.length > 1
  const names = plan.placements.map(({ fromServerId, toServerId }) => [
    ...(hasSeveral ? [clip(nameIn(fromServerId, servers), 20)] : []),
    clip(nameIn(toServerId, servers), 24),
  ])
  const taken = names[0]?.map((_, at) => Math.max(6, ...names.map((row) => [...(row[at] as string)].length)) + 2) ?? []
  const wide = columns - taken.reduce((sum, one) => sum + one, 0) - 9
  const rows = plan.placements.map(({ connections }, index) => [
    ...(names[index] as string[]),
    String(connections.length),
    userList(
      connections.map(({ id }) => id),
      all ? Number.POSITIVE_INFINITY : wide,
    ),
  ])
  const head = [...(hasSeveral ? ['from'] : []), hasSeveral ? 'to' : 'target', 'users', 'who']
  return table({ head, rows, paint, right: [head.length - 2] })
}

/** As many as fit, and how many more there are. */
function userList(ids: readonly string[], wide: number): string {
  if (ids.join(' ').length <= wide) return ids.join(' ')
  let shown = 0
  const rest = (): string => ` … and ${ids.length - shown} more (--all)`
  for (let used = 0; shown < ids.length; shown++) {
    used += [...(ids[shown] as string)].length + 1
    if (used + rest().length > wide) break
  }
  return shown === 0 ? `${ids.length} (--all names them)` : `${ids.slice(0, shown).join(' ')}${rest()}`
}

/** How long it takes, and in which waves. */
function when({ plan, columns, paint }: Shown): string {
  const { expectedMs, callMs, waves } = plan.schedule
  if (waves.length === 0) return ''
  const basis = callMs === null ? 'by the rate budgets alone' : `at ${duration(callMs)} a move, as seen lately`
  const expected =
    expectedMs === null
      ? 'not known: no rate budget limits it (migration.rates), and no move was seen yet'
      : `about ${duration(expectedMs)}, ${basis}`
  const title = `${paint.bold('How long')}  ${expected}\n`
  if (waves.length === 1) return title
  const told = waves.slice(0, fewWaves).map(({ startsAfterMs, connections }, index) => {
    const when = startsAfterMs === 0 ? 'at once' : `after ${duration(startsAfterMs)}`
    return index === 0 ? `${count(connections, 'user')} ${when}` : `${connections} ${when}`
  })
  const more = waves.length > told.length ? ' …' : ''
  return `${title}  ${wrap(`${waves.length} waves: ${told.join(', ')}${more}`, columns - 2, 4)}\n`
}

function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 100_000) return `${Math.round(ms / 1000)} s`
  const minutes = Math.round(ms / 60_000)
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** The whole why of one user, of the largest group; with `all` of one of each group. */
function whys(shown: Shown): string[] {
  const { plan, servers, all, columns, paint } = shown
  const nameOf = (id: string): string => nameIn(id, servers)
  const found = new Map<string, { readonly user: Connection; readonly to: string }>()
  for (const { toServerId, connections } of plan.placements)
    for (const user of connections) {
      if (found.size === plan.cohorts.length) break
      const cohort = cohortOf(plan, user)
      // One of those who go where most of them do.
      if (cohort && !found.has(cohort.cohort) && mostOf(cohort) === toServerId) found.set(cohort.cohort, { user, to: toServerId })
    }
  const largest = plan.cohorts.toSorted((a, b) => b.connections - a.connections)
  const told = largest.filter(({ cohort }) => found.has(cohort)).slice(0, all ? undefined : 1)
  const parts = told.map((cohort) => {
    const { user, to } = found.get(cohort.cohort) as { user: Connection; to: string }
    const others = cohort.connections > 1 ? `One of ${cohort.connections} users with these needs` : 'The only user with these needs'
    const whom = `${others}, ${user.region === null ? 'region unknown' : `region ${clip(user.region, 24)}`}; points out of 100.`
    const title = paint.bold(`Why user ${clip(user.id, 24)} goes to ${clip(nameOf(to), 30)}`)
    return `${title}\n${paint.dim(whom)}\n${whyText({ cohort, chosen: to, nameOf, columns, paint })}`
  })
  const more = plan.cohorts.length - told.length
  if (told.length === 0) {
    // Nobody goes anywhere: then it is about those who stay.
    const [cohort] = largest
    return cohort ? [whyText({ cohort, chosen: null, nameOf, columns, paint })] : []
  }
  return all || more === 0
    ? parts
    : [...parts, `${paint.dim(`${count(more, 'other group')} of users with other needs: --all shows why for each.`)}\n`]
}

const mostOf = ({ placed }: CohortDecision): string | undefined => placed.toSorted((a, b) => b.connections - a.connections)[0]?.serverId

function stranded({ plan, all, columns, paint }: Shown): string {
  if (plan.unplaced.length === 0) return ''
  const byReason = Map.groupBy(plan.unplaced, ({ code, message }) => `${code.replaceAll('_', ' ')}: ${message}`)
  const lines = [...byReason].map(([reason, some]) => {
    const ids = some.map(({ connectionId }) => connectionId)
    return `  ${wrap(`${count(some.length, 'user')}, ${reason}`, columns - 2, 4)}\n    ${userList(ids, all ? Number.POSITIVE_INFINITY : columns - 4)}`
  })
  const enough = plan.shortfalls.map(({ message }) => `    ${wrap(message, columns - 4, 6)}`)
  const cure = enough.length > 0 ? ['  Enough for all of them would be', ...enough] : []
  return `${paint.bold(paint.red('Without a place'))}\n${[...lines, ...cure].join('\n')}\n`
}
