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
    const { id, evacuationId, decisionId, version, ...record } = await world.answer(world.engine.migrations.get(world.migration().id))
    const { createdAt, approvedAt, scheduledAt, startedAt, completedAt, ...rest } = record
    const times = [createdAt, approvedAt, scheduledAt, startedAt, completedAt].map((time) => time ?? 0)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    assert.ok((approvedAt ?? 0) - createdAt >= 60_000 && (completedAt ?? 0) > (startedAt ?? 0))
    assert.deepEqual(rest, {
      fromServerId: 's1',
      fromServerName: 'Lyon 1',
      toServerId: 's2',
      toServerName: 'Oslo 2',
      status: 'completed',
      reason: 'maintenance',
      triggeredBy: 'admin',
      notes: null,
      savingsEurHour: null,
      savingsEurMonth: null,
      notBefore: null,
      cancelledWhy: null,
      connectionCountAtStart: 3,
      connectionsMoved: 3,
      connectionsFailed: 0,
      connectionsSkipped: 0,
      progress: 100,
      expectedEndAt: null,
      retryCount: 0,
      maxRetries: 3,
      retryOf: null,
      errorMessage: null,
      rollbackSuccess: null,
      residue: [],
      warnings: [],
    })
  },
)
