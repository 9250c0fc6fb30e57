import { expect, test } from 'vitest'
import { shortened, visible } from './text.ts'

test('marks that turn the text around them are shown, and do nothing', () => {
  expect(visible('ams\u202e1-live\u202c')).toBe('ams⟨U+202E⟩1-live⟨U+202C⟩')
  expect(visible('a\u0000b\nc\u2028d')).toBe('a⟨U+0000⟩b⟨U+000A⟩c⟨U+2028⟩d')
})

test('letters of all scripts and emoji, also joined ones, stay as they are', () => {
  for (const text of ['Амстердам-1', 'שרת', 'サーバー', '👩‍🚀 orbit', '🏳️‍🌈', '🇳🇱 ams', '<img src=x onerror=alert(1)>'])
    expect(visible(text)).toBe(text)
})

test('a joiner that joins no emoji is shown', () => {
  expect(visible('pay\u200dpal')).toBe('pay⟨U+200D⟩pal')
})

test('a long name is cut at a whole character, with the whole in the title', () => {
  const { text, title } = shortened('👩‍🚀'.repeat(30), 20)
  expect(text.length).toBeLessThanOrEqual(20)
  expect(text).toMatch(/^(?:👩‍🚀)+…(?:👩‍🚀)+$/u)
  expect(title).toContain('👩‍🚀'.repeat(30))
})

test('names that differ at their ends stay different', () => {
  expect(shortened('region-10', 5).text).toBe('re…10')
  expect(shortened('frankfurt-am-main-01', 12).text).toBe('frankf…in-01')
  expect(shortened('ab', 1).text).toBe('…')
})

test('ten kilobytes cost no more than two thousand characters', () => {
  const { text, title } = shortened('x'.repeat(10_240))
  expect(text).toHaveLength(40)
  expect(title).toHaveLength(2000)
})

test('an empty name is a dash, so that there is something to click', () => {
  expect(shortened('   ').text).toBe('–')
  expect(shortened('').text).toBe('–')
})
