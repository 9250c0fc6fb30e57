import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the record tells the whole way of a migration in times and figures',
  {
    servers: [
      { id: 's1', name: 'Lyon 1' },
      { id: 's2', name: 'Oslo 2' },
    ],
    users: 3,
    policy: { mode: 'suggest' },
  },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    await world.minutes(1)
    await world.answer(world.engine.migrations.approve(world.migration().id))
    await world.minutes(1)
    const record = await world.answer(world.engine.migrations.get(world.migration().id))
    const { createdAt, approvedAt, scheduledAt, startedAt, completedAt } = record
    const times = [createdAt, approvedAt, scheduledAt, startedAt, completedAt].map((time) => time ?? 0)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    assert.ok((approvedAt ?? 0) - createdAt >= 60_000 && (completedAt ?? 0) > (startedAt ?? 0))
    const places = { fromServerId: 's1', fromServerName: 'Lyon 1', toServerId: 's2', toServerName: 'Oslo 2' }
    const words = { status: 'completed', reason: 'maintenance', triggeredBy: 'admin', notes: null, errorMessage: null, cancelledWhy: null }
    const counts = { connectionCountAtStart: 3, connectionsMoved: 3, connectionsFailed: 0, connectionsSkipped: 0, progress: 100 }
    const tries = { retryCount: 0, maxRetries: 3, retryOf: null, rollbackSuccess: null, residue: [], warnings: [] }
    const unknown = { savingsEurHour: null, savingsEurMonth: null, notBefore: null, expectedEndAt: null }
    const { id, evacuationId, decisionId, version, ...rest } = record
    const expected = { ...places, ...words, ...counts, ...tries, ...unknown }
    assert.deepEqual(rest, { ...expected, createdAt, approvedAt, scheduledAt, startedAt, completedAt })
  },
)
