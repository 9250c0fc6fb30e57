import { expect, test } from 'vitest'
import { isWithin, outsideWindows } from './windows.ts'

const at = (time: string): number => Date.parse(`2026-03-29T${time}:00Z`)

test('a window has its first minute and not its last, and may go over midnight', () => {
  const night = [{ from: '02:00', to: '05:30' }]
  expect(['01:59', '02:00', '05:29', '05:30'].map((time) => isWithin(night, at(time)))).toEqual([false, true, true, false])
  const late = [{ from: '23:00', to: '01:00' }]
  expect(['22:59', '23:00', '00:59', '01:00'].map((time) => isWithin(late, at(time)))).toEqual([false, true, true, false])
  expect(isWithin([...night, ...late], at('00:30'))).toBe(true)
})

test('without windows nothing is forbidden, and outside of them the denial names them', () => {
  expect(outsideWindows([], at('12:00'))).toBeNull()
  expect(outsideWindows([{ from: '02:00', to: '05:00' }], at('03:00'))).toBeNull()
  expect(outsideWindows([{ from: '02:00', to: '05:00' }], at('12:00'))).toMatchObject({
    guard: 'window',
    message: expect.stringContaining('02:00–05:00 UTC'),
  })
})

test('a window that ends when it begins is the whole day', () => {
  expect(['00:00', '11:59', '23:59'].every((time) => isWithin([{ from: '00:00', to: '00:00' }], at(time)))).toBe(true)
})
