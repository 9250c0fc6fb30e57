import { count, type Ended, type Fault, type Observation, type Owed, observe, type RuleName, type Source, users } from './faultWorld.ts'
import { calm, phases } from './moverFaults.ts'

/** What the reader may rely on: what is said of every world in which it holds. */
export const rules: Readonly<Record<RuleName, { readonly says: string; readonly holds: (seen: Observation) => boolean }>> = {
  served: {
    says: 'whoever the books name on a server had his grant there, in every second',
    holds: ({ unserved }) => unserved === 0,
  },
  listed: { says: 'every grant beyond a home was listed, as owed or as residue', holds: ({ unlisted }) => unlisted === 0 },
  settled: {
    says: 'nothing was owed any more once every server lived',
    holds: ({ owed }) => owed.targets.afterReturn + owed.source.afterReturn === 0,
  },
  moved: { says: 'everybody had moved when the fault was over', holds: ({ moved }) => moved.end === users },
  single: { says: 'each had one grant in the end', holds: ({ doubled }) => doubled === 0 },
}
const ruleNames = Object.keys(rules) as RuleName[]

/** @throws Error naming the row, and the rule that it breaks or only says to break */
export function uphold({ what, breaks }: Fault, source: Source, seen: Observation): void {
  const said = new Set(breaks?.[source])
  for (const name of ruleNames) {
    const { says, holds } = rules[name]
    if (holds(seen) === said.has(name)) throw new Error(`${what} (${source}): it does ${said.has(name) ? '' : 'not '}hold that ${says}`)
  }
}

const sources: readonly Source[] = ['drain', 'failure']
const named: Readonly<Record<Source, string>> = { drain: 'lives', failure: 'dead' }

/** The summary and one table for each phase; every cell but the first two was seen just now. */
export async function faultTables(): Promise<string> {
  const usual = new Map<Source, Observation>()
  const worlds: Observation[] = []
  const rowsOf = async (fault: Fault): Promise<string[][]> => {
    const rows: string[][] = []
    for (const source of sources) {
      const seen = await observe(fault, source)
      uphold(fault, source, seen)
      worlds.push(seen)
      const calmly = usual.get(source) ?? seen
      usual.set(source, calmly)
      const like = (cell: (one: Observation) => string): string =>
        seen !== calmly && cell(seen) === cell(calmly) ? 'as always' : cell(seen)
      rows.push([
        fault.what,
        named[source],
        migrationsOf(seen, calmly),
        usersOf(seen),
        like(grantsOf),
        like(listedOf),
        toldOf(seen, calmly),
      ])
    }
    return rows
  }
  const tables = [`### no fault, to compare with\n\n${table(await rowsOf(calm))}`]
  for (const { title, faults } of phases) {
    const rows: string[][][] = []
    for (const fault of faults) rows.push(await rowsOf(fault))
    tables.push(`### ${title}\n\n${table(joined(rows).flat())}`)
  }
  return [summary(worlds), ...tables].join('\n\n')
}

function summary(worlds: readonly Observation[]): string {
  const kept = (name: RuleName): number => worlds.filter(rules[name].holds).length
  const inAll = ruleNames.filter((name) => kept(name) === worlds.length).map((name) => rules[name].says)
  const inMost = ruleNames.filter((name) => kept(name) < worlds.length).map((name) => `in ${kept(name)} ${rules[name].says}`)
  return `**What you may rely on**, asserted over ${worlds.length} worlds. In all of them: ${inAll.join('; ')}; the simulator's judge found I1 to I14 kept. Further, ${inMost.join('; ')}: **bold** is where not.`
}

/** Faults that look the same in every cell share their rows; of two rows of a fault only the first one names it. */
function joined(faults: readonly (readonly string[][])[]): string[][][] {
  const seen = (rows: readonly string[][]): string => JSON.stringify(rows.map(([, ...cells]) => cells))
  const kept: string[][][] = []
  for (const rows of faults) {
    const last = kept.at(-1)
    if (last && seen(last) === seen(rows)) (last[0] as string[])[0] += `<br>or: ${rows[0]?.[0]}`
    else kept.push(rows.map(([what = '', ...cells], index) => [index === 0 ? what : '', ...cells]))
  }
  return kept
}

function table(rows: readonly (readonly string[])[]): string {
  const head = ['fault', '`s1`', 'migrations', 'users', 'grants', 'listed', 'told']
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

// ------------------------------------------------------------------------------------------------------------------ cells

/** Exact up to ten, then with one digit: what a fault costs, and not which way the dice fell. */
function about(many: number): string {
  if (many <= 10) return String(many)
  const unit = 10 ** Math.floor(Math.log10(many))
  return `~${Math.round(many / unit) * unit}`
}

function migrationsOf({ migrations }: Observation, usual: Observation): string {
  const isUsual = usual.migrations.some(({ warned }) => warned)
  const kind = ({ status, rollbackSuccess, warned }: Ended): string =>
    `${status}${status === 'failed' ? ` (${rollbackSuccess})` : ''}${warned && !isUsual ? ' with a warning' : ''}`
  return [...count(migrations.map(kind))]
    .map(([what, many]) => {
      const retries = Math.max(...migrations.filter((one) => kind(one) === what).map((one) => one.retries))
      return `${about(many)} ${what}${retries > 0 ? `, ${retries} retr${retries === 1 ? 'y' : 'ies'}` : ''}`
    })
    .join('<br>')
}

function usersOf({ moved: { early, end, afterReturn }, byHand, onDead, open, unserved }: Observation): string {
  // How many it is in the middle is a matter of the moment.
  const first = early === 0 || early === users ? String(early) : 'some'
  const lines = [early === end ? `${end} moved` : `${first}, then ${end} moved`]
  if (end < users) lines.push(`**${users - end} on ${onDead > 0 ? 'the dead ' : ''}\`s1\`**, ${byHand} of them moved by hand`)
  if (unserved > 0) lines.push(`**${unserved} without access**`)
  if (byHand === null && afterReturn !== end) lines.push(`${end - afterReturn} back on \`s1\` when it returned`)
  if (open > 0) lines.push('evacuation open until then')
  return lines.join('<br>')
}

function grantsOf({ grants: { end, afterReturn }, doubled, byHand }: Observation): string {
  const text = (counted: ReadonlyMap<string, number>): string =>
    counted.size === 1 ? [...counted.keys()].join() : [...counted].map(([where, many]) => `${many}: ${where}`).join(', ')
  if (byHand !== null) return text(end)
  const last = doubled > 0 ? `**${text(afterReturn)}**` : text(afterReturn)
  return text(end) === text(afterReturn) ? last : `${text(end)} → ${last}`
}

function listedOf({ residue, owed, unplaced }: Observation): string {
  const owing = (where: string, { most, end }: Owed): string[] =>
    most === 0 ? [] : [`${about(most)} owed on ${where}${end === 0 ? ', then 0' : end === most ? '' : `, then ${about(end)}`}`]
  const left = [...unplaced].map(([code, many]) => `${many} unplaced (\`${code}\`)`)
  const residues = residue > 0 ? [`${about(residue)} residue`] : []
  return [...owing('`s1`', owed.source), ...owing('targets', owed.targets), ...residues, ...left].join('<br>') || 'nothing'
}

const telling = [
  'migration.failed',
  'connection.move_failed',
  'connection.undelivered',
  'connection.unplaced',
  'connection.skipped',
  'revoke.pending',
  'leader.acquired',
  'guard.denied',
  'incident.held',
  'warning',
]

/** What is told beyond what is always told: events by type, and the loudest of the lines. */
function toldOf(seen: Observation, calmly: Observation): string {
  const more = telling.flatMap((type) => {
    const many = seen.events.get(type) ?? 0
    return many > (calmly.events.get(type) ?? 0) ? [`\`${type}\` ${about(many)}`] : []
  })
  const line = loudest(seen, calmly)
  const nothing = seen === calmly ? [] : ['nothing above debug']
  return [...(more.length > 0 ? [more.join(', ')] : []), ...(line ? [`“${line}”`] : nothing)].join('<br>')
}

function loudest({ lines }: Observation, calmly: Observation): string | null {
  const usual = new Set(calmly.lines.map(sameTarget))
  const found = ['error: ', 'warn: '].flatMap((level) => {
    const fresh = lines
      .filter((line) => line.startsWith(level))
      .map(sameTarget)
      .filter((line) => !usual.has(line))
    return [...count(fresh)].sort(([, a], [, b]) => b - a).slice(0, 1)
  })
  return found[0]?.[0] ?? null
}

/** Which of the targets it was, and how many of them, says nothing about the fault. */
const sameTarget = (line: string): string =>
  line
    .replace(/\bs[2-9]\b(?!,)(?<!, s[2-9])/g, 's2')
    .replace(/of \d+ connections|left \d+ behind/g, (text) => text.replace(/\d+/, '…'))
    .replaceAll('|', '\\|')
