import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { skippedTests, type VitestReport } from './leftOut.ts'
import { inTemporaryFolder } from './pack.ts'
import { writeReport } from './report.ts'
import { runTool } from './run.ts'

export type VitestOutcome = { code: number; skipped: readonly string[] }

/** Runs vitest in the terminal, keeps its figures under `name` for `.ci/run`, and answers what it skipped. */
export function runVitest(name: string, args: readonly string[]): Promise<VitestOutcome> {
  return inTemporaryFolder(async (folder) => {
    const file = join(folder, 'vitest.json')
    const { code } = await runTool(
      'vitest',
      ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...args],
      { output: 'show' },
    )
    const report = readVitestReport(file)
    const skipped = report ? skippedTests(report) : []
    const failed = report?.numFailedTests ?? 0
    writeReport(name, {
      passed: report?.numPassedTests ?? 0,
      // A file that does not load, or a crash of vitest itself, has no failed test of its own.
      failed: code !== 0 && failed === 0 ? 1 : failed,
      skipped: skipped.length,
    })
    return { code, skipped }
  })
}

function readVitestReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport
  } catch {
    return undefined
  }
}
