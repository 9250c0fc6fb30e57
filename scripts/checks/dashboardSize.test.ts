import { expect, test } from 'vitest'
import { judgeDashboardSize } from './dashboardSize.ts'

test('sixty kilobytes are the most that a browser has to load', () => {
  expect(judgeDashboardSize(60_000)).toMatchObject({ ok: true })
  expect(judgeDashboardSize(60_000 + 1)).toMatchObject({ ok: false, remedy: expect.any(String) })
})
