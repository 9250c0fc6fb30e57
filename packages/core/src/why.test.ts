import { expect, test } from 'vitest'
import { cohortOf } from './index.ts'
import { createFleet } from './testing/index.ts'

test('why a user goes where he goes is found by the row that the registry gave', async () => {
  const rows = { id: 'c1', region: 'eu', needs: { protocols: ['xray', 'wg'] } }
  const fleet = await createFleet({
    servers: ['s1', 's2', 's3'].map((id) => ({ id, host: '10.0.0.1', capacity: 9, protocols: id === 's3' ? ['wg'] : ['wg', 'xray'] })),
    connections: { s1: [rows, { id: 'c2', region: 'us' }, { id: 'c3' }] },
  })
  await fleet.advance(15_000)
  const plan = await fleet.pintail.plan({ drain: ['s1'] })
  expect(plan.cohorts).toHaveLength(3)
  const { placed, candidates, exclusions } =
    cohortOf(plan, { id: 'anybody', region: 'eu', needs: { protocols: ['wg', 'xray', 'wg'] } }) ?? {}
  expect(placed).toEqual([{ serverId: 's2', connections: 1 }])
  expect(candidates?.map(({ serverId }) => serverId)).toEqual(['s2', 's1', 's3'])
  expect(exclusions).toEqual({ is_source: 1, protocol_missing: 1 })
  for (const { connections } of plan.placements) for (const one of connections) expect(cohortOf(plan, one)).not.toBeNull()
  expect(cohortOf(plan, { id: 'c9', region: 'mars' })).toBeNull()
  expect(cohortOf(plan, { id: '' })).toBeNull()
  await fleet.stop()
})
