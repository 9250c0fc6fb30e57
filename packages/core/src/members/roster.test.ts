import { expect, test } from 'vitest'
import { Books } from '../books/books.ts'
import { resolvePolicy } from '../options.ts'
import type { SampleInput } from '../ports.ts'
import { fakeClock } from '../testing/index.ts'
import type { Token } from '../vocabulary.ts'
import { Roster } from './roster.ts'

test('samples that come before the first list are for the former leader: nobody takes them, and nobody is warned', () => {
  const clock = fakeClock()
  const books = new Books(resolvePolicy({}, {}).policy, { name: 'local', region: null })
  const taken: SampleInput[] = []
  const roster = new Roster({
    books,
    clock,
    lease: { token: 1 as Token, holder: 'a', ttlMs: 30_000 },
    since: clock.now(),
    witness: () => ({ isHealthy: () => true, isBlind: () => false, isSeenUp: () => false }),
    observations: () => ({ take: (sample) => void taken.push(sample) }),
  })
  const sample = { serverId: 's1', vantage: 'local', prober: 'icmp', sentAt: clock.now(), sent: 1, received: 1, rttMs: [20] }
  const body = { version: 1, vantage: 'local', region: null, leaves: false, lead: null, samples: [sample] } as const
  roster.take('b', body)
  expect(taken).toEqual([])
  expect(roster.body()?.lead?.members.map(({ id }) => id)).toEqual(['a', 'b'])
  books.listedAt = clock.now()
  roster.take('b', body)
  expect(taken.map(({ vantage }) => vantage)).toEqual(['local@b'])
})
