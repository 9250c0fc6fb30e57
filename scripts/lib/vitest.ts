import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { skippedTests, tallyOf, type VitestReport } from './leftOut.ts'
import { inTemporaryFolder } from './pack.ts'
import { root } from './packages.ts'
import { settle, writeReport } from './report.ts'
import { runTool } from './run.ts'

export type VitestOutcome = { code: number; skipped: readonly string[] }

/** Runs vitest in the terminal, keeps its figures under `name` for `.ci/run`, and answers what it skipped. */
export function runVitest(name: string, args: readonly string[]): Promise<VitestOutcome> {
  return inTemporaryFolder(async (folder) => {
    const file = join(folder, 'vitest.json')
    const { code } = await runTool('vitest', ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...args], {
      output: 'show',
      // Hundreds of processes are started from the same sources: Node keeps what it has compiled.
      env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.cache', 'node') },
    })
    const report = readVitestReport(file)
    const skipped = report ? skippedTests(report) : []
    writeReport(name, settle(report && tallyOf(report), code))
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
