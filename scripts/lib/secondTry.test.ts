import { expect, test } from 'vitest'
import type { VitestReport } from './leftOut.ts'
import { passedOnlyThen, withSecondTry, worthASecondTry } from './secondTry.ts'

const file = (name: string, ...tests: readonly (readonly [name: string, failure?: string])[]): VitestReport['testResults'][number] => ({
  name,
  status: tests.some(([, failure]) => failure !== undefined) ? 'failed' : 'passed',
  assertionResults: tests.map(([fullName, failure]) => ({
    fullName,
    status: failure === undefined ? 'passed' : 'failed',
    failureMessages: failure === undefined ? [] : [failure],
  })),
})
const report = (...testResults: VitestReport['testResults']): VitestReport => ({ testResults })
const unloaded = { name: 'c.test.ts', status: 'failed', message: 'Hook timed out', assertionResults: [] }

test('the files of up to three are tried again, also one that did not load', () => {
  expect(worthASecondTry(report(file('a', ['one', 'late']), file('b', ['two']), unloaded))).toEqual(['a', 'c.test.ts'])
  expect(worthASecondTry(report(file('b', ['two'])))).toEqual([])
})

test('more than three do not fail by chance, and are not tried again', () => {
  expect(worthASecondTry(report(...['a', 'b', 'c', 'd'].map((name) => file(name, ['one', 'late']))))).toEqual([])
})

test('a random case that was found is not drawn anew', () => {
  expect(worthASecondTry(report(file('a', ['one', 'Error: Property failed after 3 tests\n{ seed: 7 }'])))).toEqual([])
})

test('what fails again has failed, and what passes then is counted and named with its first failure', () => {
  const first = report(file('a', ['one', 'late: 3\nat line 5'], ['two']), file('b', ['three']), file('d', ['four', 'wrong']), unloaded)
  const second = report(file('a', ['one'], ['two']), file('d', ['four', 'wrong']), { ...file('c.test.ts', ['five']) })
  expect(withSecondTry(first, second)).toEqual(
    report(file('a', ['one'], ['two']), file('b', ['three']), file('d', ['four', 'wrong']), file('c.test.ts', ['five'])),
  )
  expect(passedOnlyThen(first, second)).toEqual([
    'passed only at the second try: a › one: late: 3',
    'passed only at the second try: c.test.ts › the file: Hook timed out',
  ])
})
