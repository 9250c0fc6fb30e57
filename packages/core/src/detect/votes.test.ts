import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { VerdictKind } from '../vocabulary.ts'
import { audienceOf, type Ballot, count, everybodyElse, type Tally } from './votes.ts'

const ballot = (vantage: string, verdict: VerdictKind, region: string | null = null): Ballot => {
  return { vantage, verdict, region, isOwn: vantage === 'own', since: 5, reason: `${vantage} says so` }
}
const tally = (ballots: readonly Ballot[], more: { passive?: string; minVotes?: number; before?: Tally } = {}): Tally => {
  const { passive, minVotes = 2, before = null } = more
  const regions = new Set(ballots.flatMap(({ region }) => region ?? []))
  return count({ ballots, own, regions, minVotes, hasPassive: (audience) => audience === passive, now: 100 }, before)
}
const own = { verdict: { verdict: 'up', since: 1, reasons: [{ code: 'answers', message: 'by its own rules' }] }, region: null } as const
const kinds = ({ global, audiences }: Tally): Record<string, VerdictKind | 'own'> => ({
  global: global?.verdict ?? 'own',
  ...Object.fromEntries([...audiences].map(([audience, { verdict }]) => [audience, verdict])),
})

test('where nobody but the own vantage has an opinion, its verdict is the verdict', () => {
  for (const own of ['up', 'suspect', 'down', 'unknown'] as const) {
    expect(kinds(tally([ballot('own', own)]))).toEqual({ global: 'own' })
    expect(kinds(tally([ballot('own', own), ballot('a', 'unknown')]))).toEqual({ global: 'own' })
    expect(kinds(tally([ballot('own', own), ballot('a', 'unknown', 'ir')]))).toEqual({ global: 'own', ir: 'unknown', '*': 'up' })
  }
})

test('zero votes are no verdict', () => {
  expect(kinds(tally([ballot('own', 'unknown'), ballot('a', 'unknown', 'ir'), ballot('b', 'up', 'de')]))).toEqual({
    global: 'up',
    ir: 'unknown',
    de: 'up',
    '*': 'unknown',
  })
})

test('one vote is not enough for an audience, and with passive evidence it is', () => {
  const ballots = [ballot('own', 'up'), ballot('a', 'down', 'ir')]
  expect(kinds(tally(ballots)).ir).toBe('suspect')
  expect(kinds(tally(ballots, { passive: 'ir' }))).toEqual({ global: 'up', ir: 'down', '*': 'up' })
  expect(kinds(tally(ballots, { passive: everybodyElse })).ir).toBe('suspect')
  expect(kinds(tally(ballots, { minVotes: 1 })).ir).toBe('down')
})

test('passive evidence is never a vote of its own', () => {
  expect(kinds(tally([ballot('own', 'up'), ballot('a', 'up', 'ir')], { passive: 'ir' })).ir).toBe('up')
  expect(kinds(tally([ballot('own', 'up'), ballot('a', 'up', 'ir'), ballot('b', 'down', 'ir')], { passive: 'ir' })).ir).toBe('suspect')
})

test('two votes against are down for their audience and nobody else', () => {
  const seen = tally([ballot('own', 'up'), ballot('a', 'down', 'ir'), ballot('b', 'down', 'ir')])
  expect(kinds(seen)).toEqual({ global: 'up', ir: 'down', '*': 'up' })
  expect(seen.audiences.get('ir')?.reasons[0].message).toBe(
    'down for region ir: 2 of 2 vantages (a: a says so; b: b says so); up for all other regions',
  )
  expect(seen.audiences.get('ir')?.votes).toEqual([
    { vantage: 'a', verdict: 'down', since: 5, reason: 'a says so' },
    { vantage: 'b', verdict: 'down', since: 5, reason: 'b says so' },
  ])
})

test('a tie is a suspicion, for an audience and for everybody', () => {
  expect(kinds(tally([ballot('own', 'up'), ballot('a', 'down', 'ir'), ballot('b', 'up', 'ir')])).ir).toBe('suspect')
  expect(kinds(tally([ballot('own', 'down'), ballot('a', 'up')]))).toEqual({ global: 'suspect' })
  expect(kinds(tally([ballot('own', 'down'), ballot('a', 'down')]))).toEqual({ global: 'down' })
})

test('a minority does not make a server suspect', () => {
  expect(kinds(tally([ballot('own', 'up'), ballot('a', 'down'), ballot('b', 'up')]))).toEqual({ global: 'up' })
  expect(kinds(tally([ballot('own', 'up'), ballot('a', 'down'), ballot('b', 'down')]))).toEqual({ global: 'down' })
})

test('down for all audiences that have an opinion is down for everybody, with enough votes in all', () => {
  const one = [ballot('own', 'down'), ballot('a', 'down', 'ir'), ballot('b', 'unknown', 'ir')]
  expect(kinds(tally(one))).toEqual({ global: 'down', ir: 'down', '*': 'down' })
  expect(kinds(tally([ballot('own', 'unknown'), ballot('a', 'down', 'ir'), ballot('b', 'unknown', 'de')]))).toEqual({
    global: 'suspect',
    ir: 'suspect',
    '*': 'unknown',
    de: 'unknown',
  })
})

test('while the own vantage abstains and nobody stands beside it, others speak for their own regions only', () => {
  const others = [ballot('a', 'down', 'ir'), ballot('b', 'down', 'ir')]
  expect(kinds(tally([ballot('own', 'unknown'), ...others]))).toEqual({ global: 'suspect', ir: 'down', '*': 'unknown' })
  expect(kinds(tally([ballot('own', 'unknown'), ballot('c', 'down'), ...others])).global).toBe('down')
})

test('a verdict keeps the time since when it holds', () => {
  const ballots = [ballot('own', 'down'), ballot('a', 'down')]
  const before = tally(ballots)
  const after = count({ ballots, own, regions: new Set(), minVotes: 2, hasPassive: () => false, now: 900 }, before)
  expect(after.global?.since).toBe(100)
})

test('a user belongs to the audience of his region, or to all others, or to none that is known', () => {
  const regions = new Set(['ir'])
  expect([audienceOf('ir', regions), audienceOf('de', regions), audienceOf(null, regions)]).toEqual(['ir', everybodyElse, null])
})

const kind = fc.constantFrom('up' as const, 'suspect' as const, 'down' as const, 'unknown' as const)
const region = fc.constantFrom(null, 'ir', 'de')
const election = fc.record({
  own: kind,
  ownRegion: region,
  others: fc.array(fc.record({ verdict: kind, region }), { maxLength: 8 }),
  minVotes: fc.integer({ min: 1, max: 4 }),
  passive: fc.constantFrom('ir', 'de', everybodyElse, 'none'),
})
const ballotsOf = ({
  own,
  ownRegion,
  others,
}: {
  own: VerdictKind
  ownRegion: string | null
  others: readonly { verdict: VerdictKind; region: string | null }[]
}) => [ballot('own', own, ownRegion), ...others.map(({ verdict, region }, index) => ballot(`v${index}`, verdict, region))]

test('no audience is down without a majority of its own voters who have an opinion, and enough of them', () => {
  fc.assert(
    fc.property(election, (drawn) => {
      const ballots = ballotsOf(drawn)
      const seen = tally(ballots, drawn)
      for (const [audience, { verdict }] of seen.audiences) {
        // Alone it goes by its own rules.
        if (seen.global === null && audience === everybodyElse) continue
        const cast = ballots.filter((one) => (one.region ?? everybodyElse) === audience && one.verdict !== 'unknown')
        const down = cast.filter((one) => one.verdict === 'down').length
        const up = cast.filter((one) => one.verdict === 'up').length
        if (verdict === 'down') expect(2 * down).toBeGreaterThan(cast.length)
        if (verdict === 'down' && seen.global?.verdict !== 'down' && drawn.passive !== audience)
          expect(down).toBeGreaterThanOrEqual(drawn.minVotes)
        if (verdict === 'up') expect(2 * up).toBeGreaterThan(cast.length)
        if (cast.length === 0) expect(verdict).toBe('unknown')
      }
    }),
    { seed: 20260211, numRuns: 2000 },
  )
})

test('one audience without a majority against it is enough that the server is not down for everybody', () => {
  fc.assert(
    fc.property(election, (drawn) => {
      const seen = tally(ballotsOf(drawn), drawn)
      const kinds = [...seen.audiences.values()].map(({ verdict }) => verdict)
      if (seen.global?.verdict === 'down') expect(kinds.every((one) => one === 'down' || one === 'unknown')).toBe(true)
      if (seen.global && kinds.includes('up')) expect(seen.global.verdict).toBe('up')
    }),
    { seed: 20260212, numRuns: 2000 },
  )
})

test('nobody who abstains, and no order of the votes, changes a verdict', () => {
  fc.assert(
    fc.property(election, fc.nat(), (drawn, turn) => {
      const ballots = ballotsOf(drawn)
      const others = ballots.filter(({ verdict }) => verdict !== 'unknown')
      const turned = [...others.slice(turn % (others.length + 1)), ...others.slice(0, turn % (others.length + 1))]
      const regions = new Set(ballots.flatMap(({ region }) => region ?? []))
      const of = (some: readonly Ballot[]) =>
        count({ ballots: some, own, regions, minVotes: drawn.minVotes, hasPassive: (audience) => audience === drawn.passive, now: 1 }, null)
      const [all, cast] = [of(ballots), of(turned)]
      expect(cast.global?.verdict).toBe(all.global?.verdict)
      for (const [audience, { verdict }] of cast.audiences) expect(all.audiences.get(audience)?.verdict).toBe(verdict)
    }),
    { seed: 20260213, numRuns: 1000 },
  )
})
