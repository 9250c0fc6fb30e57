import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario('an id that nobody knows is refused by every call', {}, async (world) => {
  const { migrations, evacuations, incidents } = world.engine
  const by = (id: string): Promise<unknown>[] => [
    ...(['get', 'approve', 'schedule', 'cancel', 'retry', 'delete'] as const).map((call): Promise<unknown> => migrations[call](id)),
    ...(['get', 'approve', 'cancel'] as const).map((call): Promise<unknown> => evacuations[call](id)),
    ...(['get', 'acknowledge', 'overrideGuard'] as const).map((call): Promise<unknown> => incidents[call](id)),
    world.engine.decision(id),
  ]
  for (const id of ['nobody', '', 'x'.repeat(600), 7, null]) {
    const { answers, refusals } = await world.atOnce(...by(id as string))
    assert.deepEqual([answers, refusals.length, new Set(refusals.map(({ code }) => code))], [[], 13, new Set(['not_found'])])
    assert.ok(
      refusals.every(({ message }) => /^there is no (migration|evacuation|incident|decision) /.test(message) && message.length < 120),
    )
  }
})
