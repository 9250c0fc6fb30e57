import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** How a part of the work ended, in numbers: what `.ci/run` adds up. */
export type Tally = {
  passed: number
  failed: number
  skipped: number
  /** What passed only at its second try, a line each. */
  onlyThen?: readonly string[]
}

/** The environment variable that names the folder for reports; without it none is written. */
const FOLDER = 'PINTAIL_REPORTS'

export function writeReport(name: string, tally: Tally): void {
  const folder = process.env[FOLDER]
  if (!folder) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(tally)}\n`)
}

export function readReport(folder: string, name: string): Tally | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Tally
  } catch {
    return undefined
  }
}

/** A part that reported nothing, or no failure in spite of its exit code, counts as one failure: it did not run to its end. */
export function settle(report: Tally | undefined, code: number): Tally {
  if (report === undefined) return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
  if (code !== 0 && report.failed === 0) return { ...report, failed: 1 }
  return report
}

export function sum(tallies: readonly Tally[]): Tally {
  const total: Tally = { passed: 0, failed: 0, skipped: 0 }
  for (const { passed, failed, skipped } of tallies) {
    total.passed += passed
    total.failed += failed
    total.skipped += skipped
  }
  return total
}

export const tallyLine = ({ passed, failed, skipped }: Tally): string => `${passed} passed, ${failed} failed, ${skipped} skipped`
