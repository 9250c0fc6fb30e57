import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { skippedTests, tallyOf, type VitestReport } from './leftOut.ts'
import { inTemporaryFolder } from './pack.ts'
import { root } from './packages.ts'
import { settle, writeReport } from './report.ts'
import { runTool } from './run.ts'
import { passedOnlyThen, withSecondTry, worthASecondTry } from './secondTry.ts'

export type VitestOutcome = { code: number; skipped: readonly string[] }

/** Runs vitest in the terminal, keeps its figures under `name` for `.ci/run`, and answers what it skipped. */
export async function runVitest(name: string, args: readonly string[]): Promise<VitestOutcome> {
  let { code, report } = await once(args)
  const again = process.env.PINTAIL_SECOND_TRY && report ? worthASecondTry(report) : []
  let onlyThen: string[] = []
  if (report && again.length > 0) {
    console.log(`── ${name}: a second try of ${again.join(', ')}`)
    const second = await once([...args.filter((arg) => arg.startsWith('--config=')), ...again])
    if (second.report) {
      onlyThen = passedOnlyThen(report, second.report)
      report = withSecondTry(report, second.report)
      code = second.code
    }
  }
  writeReport(name, { ...settle(report && tallyOf(report), code), ...(onlyThen.length > 0 ? { onlyThen } : {}) })
  return { code, skipped: report ? skippedTests(report) : [] }
}

function once(args: readonly string[]): Promise<{ code: number; report: VitestReport | undefined }> {
  return inTemporaryFolder(async (folder) => {
    const file = join(folder, 'vitest.json')
    const { code } = await runTool('vitest', ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...args], {
      output: 'show',
      // Hundreds of processes are started from the same sources: Node keeps what it has compiled.
      env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.cache', 'node') },
    })
    return { code, report: readVitestReport(file) }
  })
}

function readVitestReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport
  } catch {
    return undefined
  }
}
