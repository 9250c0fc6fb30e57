import type { ConnectionMover, JournalEntry, LogEntry } from '@pintail/core'
import { PintailError } from '@pintail/core'
import { createFleet, type Fleet, type FleetOptions } from '@pintail/core/testing'

/** What an engine has left behind: what its store gives, and what its audit log was given, in that order. */
export interface Recording {
  readonly entries: readonly JournalEntry[]
  readonly log: readonly LogEntry[]
}

export async function record(options: FleetOptions, play: (fleet: Fleet) => Promise<Fleet>): Promise<Recording> {
  const log: LogEntry[] = []
  const { replace = () => ({}), ...rest } = options
  const sink = { write: (entry: LogEntry) => void log.push(entry) }
  const fleet = await createFleet({ ...rest, replace: (parts) => ({ ...replace(parts), log: sink }) })
  await fleet.advance(10_000)
  const last = await play(fleet)
  await last.stop()
  const ctx = { signal: new AbortController().signal }
  return { entries: (await last.store.readJournal({ after: 0, limit: 1_000_000 }, ctx)).entries, log }
}

/** A server dies with its ten users, is evacuated, and comes back. */
export function cleanOutage(): Promise<Recording> {
  return record({ servers: 5 }, async (fleet) => {
    fleet.kill('s1')
    await fleet.advance(60_000)
    fleet.revive('s1')
    await fleet.advance(60_000)
    return fleet
  })
}

/** One user is refused for good, and one fails for the time being until he is planned anew. */
export function drainWithFailures(): Promise<Recording> {
  let failures = 3
  const replace: FleetOptions['replace'] = ({ mover }) => ({
    mover: {
      ...mover,
      move: async (move, ctx) => {
        if (move.connection.id === 's2-c3') throw new PintailError('rejected', 'no such plan')
        if (move.connection.id === 's2-c5' && failures-- > 0) throw new PintailError('unavailable', 'the panel is restarting')
        return (mover as ConnectionMover).move(move, ctx)
      },
    },
  })
  return record({ servers: 4, replace }, async (fleet) => {
    const drained = fleet.pintail.drain('s2')
    await fleet.advance(180_000)
    await drained
    return fleet
  })
}

/** The engine is killed while some users are under way, and another one goes on when the lease has run out. */
export function crashInTheMiddle(): Promise<Recording> {
  const policy = { mode: 'auto', migration: { concurrency: 2 } } as const
  const replace: FleetOptions['replace'] = ({ mover, clock }) => ({
    mover: {
      ...mover,
      move: async (move, ctx) => {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 500))
        return (mover as ConnectionMover).move(move, ctx)
      },
    },
  })
  return record({ servers: 4, policy, replace }, async (fleet) => {
    fleet.kill('s1')
    for (let waited = 0; waited < 600 && !fleet.events.some(({ type }) => type === 'connection.moved'); waited++) await fleet.advance(100)
    const next = await fleet.crash()
    await next.advance(180_000)
    return next
  })
}

/** Everything that an operator may say, to an engine that only suggests. */
export function wordsOfAnOperator(): Promise<Recording> {
  return record({ servers: 5, policy: { mode: 'suggest', migration: { cooldownMs: 0 } } }, async (fleet) => {
    const { pintail } = fleet
    const said = async (what: Promise<unknown>, seconds = 5): Promise<void> => {
      await fleet.advance(seconds * 1000)
      await what
    }
    await said(pintail.cordon('s5'))
    fleet.kill('s1')
    await fleet.advance(30_000)
    const [incident] = pintail.status().incidents
    const [evacuation] = pintail.status().evacuations
    await said(pintail.incidents.acknowledge(incident?.id ?? ''))
    await said(pintail.incidents.overrideGuard(incident?.id ?? '', { forMs: 60_000 }))
    await said(pintail.pause({ evacuationId: evacuation?.id ?? '' }, { reason: 'one moment' }))
    await said(pintail.evacuations.approve(evacuation?.id ?? ''))
    await said(pintail.resume({ evacuationId: evacuation?.id ?? '' }), 20)
    await said(pintail.uncordon('s5'))
    await said(pintail.migrations.create({ serverId: 's2', connectionIds: ['s2-c1', 's2-c2'], autoApprove: true }))
    const asked = pintail.migrations.create({ serverId: 's3', connectionIds: ['s3-c1'] })
    await said(asked)
    await said(pintail.migrations.schedule((await asked).id, { at: fleet.clock.now() + 20_000 }), 40)
    const other = pintail.migrations.create({ serverId: 's4', connectionIds: ['s4-c1'] })
    await said(other)
    await said(pintail.migrations.cancel((await other).id))
    await said(pintail.pause('all', { forMs: 10_000 }), 15)
    return fleet
  })
}
