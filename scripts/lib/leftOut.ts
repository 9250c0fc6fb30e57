import type { Tally } from './report.ts'

// A test that cannot run everywhere is skipped where it cannot, and says in its name (or its describe's) what it needs:
//
//   test.skipIf(!hasPing)('a living host answers [needs: a ping binary]', …)
//
// `npm test` ends with the number of such tests for each need, so that nothing is left out in silence.

/** The parts of vitest's JSON report that are read here. */
export type VitestReport = {
  testResults: readonly {
    /** The path of the file. */
    name?: string
    status: string
    /** Why a file could not be run. */
    message?: string
    assertionResults: readonly { fullName: string; status: string; failureMessages?: readonly string[] }[]
  }[]
}

/** A file that could not be loaded has no test to fail, and counts as one. */
export function tallyOf({ testResults }: VitestReport): Tally {
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 }
  for (const { status, assertionResults } of testResults) {
    const statuses = assertionResults.map((one) => one.status)
    const failed = statuses.filter((one) => one === 'failed').length
    tally.passed += statuses.filter((one) => one === 'passed').length
    tally.failed += failed === 0 && status === 'failed' ? 1 : failed
    tally.skipped += statuses.filter((one) => skippedStatuses.includes(one)).length
  }
  return tally
}

const skippedStatuses = ['skipped', 'pending', 'todo', 'disabled']

export function skippedTests(report: VitestReport): string[] {
  return report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => skippedStatuses.includes(status)).map(({ fullName }) => fullName),
  )
}

const marker = /\[needs: ([^\]]+)\]/

/** One line for each need, the most wanted first; a skipped test that names no need is shown by its name. */
export function leftOutLines(names: readonly string[]): string[] {
  const byNeed = new Map<string, number>()
  const unexplained: string[] = []
  for (const name of names) {
    const need = marker.exec(name)?.[1]?.trim()
    if (need) byNeed.set(need, (byNeed.get(need) ?? 0) + 1)
    else unexplained.push(name)
  }
  const needs = [...byNeed].sort(([a, x], [b, y]) => y - x || a.localeCompare(b))
  return [
    ...needs.map(([need, count]) => `left out: ${tests(count)} that ${count === 1 ? 'needs' : 'need'} ${need}`),
    ...(unexplained.length > 0
      ? [`left out: ${tests(unexplained.length)} without a "[needs: …]" in the name: ${shortList(unexplained)}`]
      : []),
  ]
}

const tests = (count: number): string => (count === 1 ? '1 test' : `${count} tests`)

function shortList(names: readonly string[]): string {
  const first = names.slice(0, 5).map((name) => `"${name}"`)
  return [...first, ...(names.length > 5 ? [`and ${names.length - 5} more`] : [])].join(', ')
}
