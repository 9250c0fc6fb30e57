import { expect, test } from 'vitest'
import { hasFailed, type Member } from './domains.ts'

const fleet = (text: string): Member[] =>
  text.split(' ').map((one) => {
    const [domain, verdict] = one.split(':') as [string, Member['verdict']]
    return { failureDomain: domain === '-' ? null : domain, verdict }
  })

test('a failure domain has failed when nothing of it lives, and two other domains do', () => {
  expect(hasFailed('a', fleet('a:down a:down b:up c:up'))).toBe(true)
  expect(hasFailed('a', fleet('a:down a:down b:up b:up'))).toBe(false)
  expect(hasFailed('a', fleet('a:down a:down b:up -:up'))).toBe(false)
  expect(hasFailed('a', fleet('a:down a:down b:up c:suspect'))).toBe(false)
})

test('one server alone is no domain, and one that is only suspect may live', () => {
  expect(hasFailed('a', fleet('a:down b:up c:up'))).toBe(false)
  expect(hasFailed('a', fleet('a:down a:suspect b:up c:up'))).toBe(false)
  expect(hasFailed('a', fleet('a:down a:unknown b:up c:up'))).toBe(false)
})
