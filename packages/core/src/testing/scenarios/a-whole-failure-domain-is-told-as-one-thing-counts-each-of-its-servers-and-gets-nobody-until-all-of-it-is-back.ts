import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a whole failure domain is told as one thing, counts each of its servers, and gets nobody until all of it is back',
  {
    servers: [
      { id: 's1', failureDomain: 'fra' },
      { id: 's2', failureDomain: 'fra' },
      { id: 's3', failureDomain: 'ams' },
      { id: 's4', failureDomain: 'par' },
      { id: 's5', failureDomain: 'lon' },
      { id: 's6', failureDomain: 'lon' },
      { id: 's7', failureDomain: 'lon' },
    ],
    users: { s1: 2, s2: 2, s3: 1 },
    policy: { mode: 'auto', guards: { massFailureRatio: 0.3 } },
  },
  async (world) => {
    await world.seconds(20)
    world.kill('s1')
    world.kill('s2')
    await world.minutes(1)
    const [domain] = world.told('domain.failed')
    assert.equal(domain?.failureDomain, 'fra')
    assert.equal(domain.incidentIds.length, 2)
    assert.deepEqual(
      world.engine.status().failingDomains.map(({ failureDomain, servers }) => [failureDomain, servers.length]),
      [['fra', 2]],
    )
    assert.deepEqual([...world.on('s1'), ...world.on('s2')], [])
    // Two of seven: that is what the cap allows, and one more would be too many.
    world.revive('s1')
    await world.minutes(1)
    const plan = await world.answer(world.engine.plan({ drain: ['s3'] }))
    assert.equal(plan.cohorts[0]?.exclusions.failing_domain, 1)
    world.revive('s2')
    await world.minutes(1)
    assert.equal(world.told('domain.recovered').length, 1)
    assert.deepEqual(world.engine.status().failingDomains, [])
  },
)
