import { expect, test } from 'vitest'
import { judgeSize } from './clientSize.ts'

test('a client larger than its limit is a finding, and its size is told either way', () => {
  expect(judgeSize(6144)).toEqual({ ok: true, note: expect.stringContaining('6144 of 6144') })
  expect(judgeSize(6145)).toMatchObject({ ok: false, problem: expect.stringContaining('6145') })
})
