import { expect, test } from 'vitest'
import { leftOutLines, skippedTests, tallyOf, type VitestReport } from './leftOut.ts'

test('skipped, pending and todo tests are left out; passed and failed ones are not', () => {
  const of = (status: string) => ({ fullName: status, status })
  const report = {
    testResults: [
      { status: 'passed', assertionResults: [of('passed'), of('skipped'), of('pending')] },
      { status: 'failed', assertionResults: [of('failed'), of('todo')] },
    ],
  } satisfies VitestReport
  expect(skippedTests(report)).toEqual(['skipped', 'pending', 'todo'])
  expect(tallyOf(report)).toEqual({ passed: 1, failed: 1, skipped: 3 })
})

test('a file that does not load counts as one failure', () => {
  expect(tallyOf({ testResults: [{ status: 'failed', assertionResults: [] }] })).toEqual({
    passed: 0,
    failed: 1,
    skipped: 0,
  })
})

test('left out tests are counted by what they need, the most wanted first', () => {
  expect(leftOutLines(['icmp › one [needs: a ping binary]', 'store [needs: PostgreSQL]', 'icmp › two [needs: a ping binary]'])).toEqual([
    'left out: 2 tests that need a ping binary',
    'left out: 1 test that needs PostgreSQL',
  ])
})

test('a skipped test that says no need is named', () => {
  expect(leftOutLines(['lazy'])).toEqual(['left out: 1 test without a "[needs: …]" in the name: "lazy"'])
  expect(leftOutLines(Array.from({ length: 7 }, (_, index) => `t${index}`))[0]).toMatch(/"t4", and 2 more$/)
})

test('nothing left out, nothing said', () => {
  expect(leftOutLines([])).toEqual([])
})
