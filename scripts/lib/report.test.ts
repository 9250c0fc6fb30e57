import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { readReport, settle, sum, tallyLine, writeReport } from './report.ts'

afterEach(() => vi.unstubAllEnvs())

test('a report is written where .ci/run asks for it, and read again', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-report-'))
  vi.stubEnv('PINTAIL_REPORTS', join(folder, 'new'))
  writeReport('test', { passed: 3, failed: 2, skipped: 1 })
  expect(readReport(join(folder, 'new'), 'test')).toEqual({ passed: 3, failed: 2, skipped: 1 })
  expect(readReport(folder, 'other')).toBeUndefined()
  rmSync(folder, { recursive: true })
})

test('without that wish nothing is written', () => {
  vi.stubEnv('PINTAIL_REPORTS', '')
  expect(() => writeReport('test', { passed: 1, failed: 0, skipped: 0 })).not.toThrow()
})

test('a part that failed without reporting a failure counts as one failure', () => {
  expect(settle(undefined, 1)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  expect(settle({ passed: 5, failed: 0, skipped: 2 }, 1)).toEqual({ passed: 5, failed: 1, skipped: 2 })
  expect(settle({ passed: 5, failed: 3, skipped: 0 }, 1)).toEqual({ passed: 5, failed: 3, skipped: 0 })
})

test('a part that reports nothing and succeeds counts as one passed', () => {
  expect(settle(undefined, 0)).toEqual({ passed: 1, failed: 0, skipped: 0 })
})

test('the last line has the agreed form', () => {
  const total = sum([
    { passed: 1, failed: 0, skipped: 2 },
    { passed: 10, failed: 1, skipped: 0 },
  ])
  expect(tallyLine(total)).toBe('11 passed, 1 failed, 2 skipped')
})
