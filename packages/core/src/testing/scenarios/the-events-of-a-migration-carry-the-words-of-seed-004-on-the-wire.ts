import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'the events of a migration carry the words of seed 004 on the wire',
  { servers: 2, users: 2, policy: { mode: 'suggest' } },
  async (world) => {
    await world.answer(world.engine.drain('s1'))
    const { id } = world.migration()
    await world.answer(world.engine.migrations.approve(id))
    await world.minutes(1)
    const first = (type: 'created' | 'status_changed' | 'progress' | 'completed', ...keys: string[]) => {
      const [data = {}] = world.wired(`migration.${type}`)
      return keys.map((key) => data[key])
    }
    const nodes = [id, 's1', 'suggested', 's1', 's2', null]
    assert.deepEqual(first('created', 'id', 'server_id', 'status', 'from_node', 'to_node', 'savings_eur_hour'), nodes)
    assert.deepEqual(first('status_changed', 'id', 'old_status', 'new_status'), [id, 'suggested', 'approved'])
    assert.match(String(first('status_changed', 'timestamp')), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    const moving = [id, 'transferring', 0, 'Moving 0 of 2 connections to s2…']
    assert.deepEqual(first('progress', 'id', 'status', 'progress', 'message'), moving)
    assert.deepEqual(first('completed', 'id', 'players_transferred', 'success'), [id, 2, true])
    const { startedAt, completedAt } = world.migration()
    const seconds = ((completedAt ?? 0) - (startedAt ?? 0)) / 1000
    assert.ok(Math.abs(Number(first('completed', 'duration_seconds')) - seconds) < 0.001)
  },
)
