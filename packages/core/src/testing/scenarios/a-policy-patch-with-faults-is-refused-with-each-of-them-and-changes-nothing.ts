import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('a policy patch with faults is refused with each of them and changes nothing', {}, async (world) => {
  const before = world.engine.policy.get()
  const patch = { migration: { concurrency: 0, maxRetrys: 3 }, failback: { strategy: 'sometimes' } }
  const { code, message } = await world.refused(world.engine.policy.update(patch as never, { ifVersion: 0 }))
  assert.equal(code, 'invalid_options')
  for (const text of ['migration.concurrency', 'Did you mean maxRetries?', 'failback.strategy']) assert.ok(message.includes(text), message)
  assert.deepEqual([world.engine.policy.get(), world.told('policy.changed')], [before, []])
})
