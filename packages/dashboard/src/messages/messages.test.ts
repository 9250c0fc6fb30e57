import { expect, test } from 'vitest'
import { en } from './en.ts'
import { language } from './index.ts'
import { ru } from './ru.ts'

/** Every path of the texts; functions are called with figures. */
function texts(of: object, path = ''): [string, string][] {
  return Object.entries(of).flatMap(([key, value]: [string, unknown]): [string, string][] => {
    const here = `${path}.${key}`
    if (typeof value === 'string') return [[here, value]]
    if (typeof value === 'function') return [[here, String((value as (...args: number[]) => string)(2, 5))]]
    return texts(value as object, here)
  })
}

test('every text is there in both languages, and no Russian one is English', () => {
  const [english, russian] = [texts(en), texts(ru)]
  expect(russian.map(([path]) => path).sort()).toEqual(english.map(([path]) => path).sort())
  for (const [path, text] of russian) {
    expect(text.trim(), path).not.toBe('')
    if (path !== '.dashboard.title') expect(text, path).toMatch(/[а-яё]/i)
  }
})

test('figures have the form that the language wants', () => {
  expect([1, 2, 5].map(en.common.servers)).toEqual(['1 server', '2 servers', '5 servers'])
  expect([1, 2, 5, 11, 21, 22].map(ru.common.servers)).toEqual([
    '1 сервер',
    '2 сервера',
    '5 серверов',
    '11 серверов',
    '21 сервер',
    '22 сервера',
  ])
})

test('times are told by the distance, in the language of the page', async () => {
  const now = Date.UTC(2026, 0, 2)
  expect((await language('en-GB')).relative(now - 120_000, now)).toBe('2 minutes ago')
  expect((await language('ru')).relative(now - 120_000, now)).toBe('2 минуты назад')
  expect((await language('en')).relative(now + 3 * 3_600_000, now)).toBe('in 3 hours')
})

test('a language that we do not have is English, and an unreadable time is unknown', async () => {
  expect((await language('xx-YY')).code).toBe('en')
  expect((await language('constructor')).code).toBe('en')
  expect((await language('en')).relative(Number.NaN, 0)).toBe('unknown')
})
