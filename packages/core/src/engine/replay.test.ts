import { expect, test } from 'vitest'
import { isPintailError } from '../errors.ts'
import { createFleet } from '../testing/index.ts'

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => null,
    (error: unknown) => (isPintailError(error) ? error.code : error),
  )

test('replay gives the journal page by page, each event once and as it was told', async () => {
  const fleet = await createFleet({ servers: 4 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const told = fleet.events.filter(({ seq }) => seq > 0)
  const read = []
  for (let after = 0; ; ) {
    const page = await fleet.pintail.replay({ after, limit: 7 })
    expect(page.events.length).toBeLessThanOrEqual(7)
    expect(page).toMatchObject({ oldestSeq: 1, lastSeq: told.length })
    read.push(...page.events)
    const last = page.events.at(-1)
    if (!last) break
    after = last.seq
  }
  expect(read).toEqual(told)
  await fleet.stop()
})

test('replay without a cursor tells where the journal begins and ends, and nothing of what is in it', async () => {
  const fleet = await createFleet({ servers: 3 })
  await fleet.advance(20_000)
  expect(await fleet.pintail.replay()).toEqual({ events: [], oldestSeq: 1, lastSeq: fleet.pintail.status().lastSeq })
  await fleet.stop()
})

test('replay refuses a cursor or a limit that is none, and ends with its signal', async () => {
  const fleet = await createFleet({ servers: 3 })
  for (const query of [{ after: -1 }, { after: 1.5 }, { after: Number.NaN }, { limit: 0 }, { limit: 1001 }, { limit: 1.5 }])
    expect(await codeOf(fleet.pintail.replay(query))).toBe('invalid_argument')
  expect(await codeOf(fleet.pintail.replay({ after: 0, signal: AbortSignal.abort() }))).toBe('aborted')
  await fleet.stop()
})

test('a server that is neither cordoned nor listed cannot be uncordoned; one that is gone and still cordoned can', async () => {
  const fleet = await createFleet({ servers: 3 })
  await fleet.advance(20_000)
  expect(await codeOf(fleet.pintail.uncordon('nowhere'))).toBe('not_found')
  await fleet.pintail.cordon('s3')
  fleet.registry.removeServer('s3')
  await fleet.advance(60_000)
  await fleet.pintail.uncordon('s3')
  expect(fleet.events.map(({ type }) => type)).toContain('server.uncordoned')
  await fleet.stop()
})

test('a reset of the policy by who has not seen the newest one is refused', async () => {
  const fleet = await createFleet({ servers: 3 })
  await fleet.advance(20_000)
  const { version } = await fleet.pintail.policy.update({ detect: { pingCount: 2 } }, { ifVersion: 0 })
  expect(await codeOf(fleet.pintail.policy.reset({ ifVersion: version - 1 }))).toBe('policy_stale')
  expect(fleet.pintail.policy.get().policy.detect.pingCount).toBe(2)
  expect((await fleet.pintail.policy.reset({ ifVersion: version })).policy.detect.pingCount).toBe(1)
  await fleet.stop()
})

test('the figures over migrations are those of the records, running ones with what they are now', async () => {
  const fleet = await createFleet({ servers: 4, connections: 6 })
  await fleet.advance(20_000)
  fleet.kill('s1')
  await fleet.advance(60_000)
  const { migrations } = await fleet.pintail.migrations.list()
  const stats = await fleet.pintail.migrations.stats()
  expect(stats.total).toBe(migrations.length)
  expect(stats.byStatus.completed).toBe(migrations.filter(({ status }) => status === 'completed').length)
  expect(stats).toMatchObject({ successRate: 1, failures: [] })
  const seconds = migrations.map(({ startedAt, completedAt }) => ((completedAt ?? 0) - (startedAt ?? 0)) / 1000)
  expect(stats.averageDurationSeconds).toBeCloseTo(seconds.reduce((sum, one) => sum + one, 0) / seconds.length, 9)
  await fleet.stop()
})
