import type { EventType, PintailEvent } from '../events.ts'
import type { Logger } from '../ports.ts'

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/** A logger that throws must not take the engine with it. */
export function guarded(logger: Logger): Logger {
  const safe =
    (level: keyof Logger) =>
    (data: object, message: string): void => {
      try {
        logger[level](data, message)
      } catch {}
    }
  return { debug: safe('debug'), info: safe('info'), warn: safe('warn'), error: safe('error') }
}

type Line = readonly [level: keyof Logger, message: string]

/** What a damped server does is told once an hour in one line; each time it is a debug line, and in the journal. */
const usual: readonly EventType[] = ['server.verdict_changed', 'incident.opened', 'incident.held', 'incident.recovered']

/** Writes events as log lines, with seed 004's levels. Ids only: no address, no credential, no `meta`. */
export function narrator(logger: Logger): (event: PintailEvent) => void {
  const damped = new Set<string>()
  return (event) => {
    const { type, data } = event
    if (type === 'server.damped') damped.add(data.serverId)
    if (type === 'server.undamped') damped.delete(data.serverId)
    const line = lineOf(event)
    const isUsual = usual.includes(type) && 'serverId' in data && damped.has(data.serverId as string)
    if (line) logger[isUsual ? 'debug' : line[0]](data, line[1])
  }
}

function lineOf({ type, data }: PintailEvent): Line | null {
  switch (type) {
    case 'migration.created':
      return ['info', `migration ${data.id} created (${data.status}): ${data.connections} from ${data.fromServerId} to ${data.toServerId}`]
    case 'migration.status_changed':
      if (data.newStatus === 'preparing') return ['info', `migration ${data.id} started`]
      if (data.newStatus === 'transferring') return ['info', `migration ${data.id}: transfer started`]
      return ['debug', `migration ${data.id}: ${data.oldStatus} → ${data.newStatus}`]
    case 'connection.moved':
      return ['debug', `connection moved to ${data.toServerId}`]
    case 'migration.completed':
      return [
        'info',
        `migration ${data.id} completed: ${data.connectionsMoved} moved, ${data.connectionsFailed} failed in ${data.durationSeconds} s`,
      ]
    case 'migration.failed':
      return ['error', `migration ${data.id} failed: ${data.error}; ${rollbackOf(data.rollbackSuccess, data.residue.length)}`]
    case 'connection.move_failed':
      return ['warn', `a connection could not be moved to ${data.toServerId}${data.rolledBack ? '; rollback executed' : ''}: ${data.error}`]
    case 'connection.unplaced':
      return ['warn', `a connection on ${data.serverId} has no place: ${data.message}`]
    case 'server.verdict_changed':
      return [
        data.verdict === 'down' ? 'warn' : 'info',
        `${data.serverId}${forWhom(data.audience)}: ${data.previous} → ${data.verdict}: ${data.reasons[0].message}`,
      ]
    case 'guard.denied':
      return ['warn', `guard ${data.guard}: ${data.message}; ${data.wouldHave}`]
    case 'incident.opened':
      return ['warn', `incident on ${data.serverId}${forWhom(data.audience)}: ${data.reasons[0].message}`]
    case 'incident.held':
      return [
        'warn',
        `incident on ${data.serverId}${forWhom(data.audience)} held by ${data.guards.map(({ guard }) => guard).join(', ')}; ${data.wouldHave}`,
      ]
    case 'vantage.lost':
      return ['warn', `vantage ${data.vantage} does not count any more: ${data.why}`]
    case 'vantage.returned':
      return ['info', `vantage ${data.vantage} counts again`]
    case 'domain.failed':
      return ['warn', data.message]
    case 'domain.recovered':
      return ['info', `${data.failureDomain}${forWhom(data.audience)} is back`]
    case 'incident.recovered':
      return [
        'info',
        `${data.serverId}${forWhom(data.audience)} recovered${data.statusRestored ? '; its status is restored' : ''}${data.advice ? `; ${data.advice}` : ''}`,
      ]
    case 'evacuation.completed':
      return [
        // Nobody was there: the incident has been told already.
        data.moved + data.unplaced === 0 ? 'debug' : 'info',
        `evacuation ${data.evacuationId} completed: ${data.moved} moved, ${data.unplaced} left`,
      ]
    case 'server.damped':
      return ['warn', data.message]
    case 'server.undamped':
      return [data.verdict === 'up' ? 'info' : 'warn', `${data.serverId} is no longer damped; it is ${data.verdict}`]
    case 'incident.closed':
      return ['warn', data.advice]
    case 'failback.changed':
    case 'advice.given':
      return ['info', data.message]
    case 'advice.expired':
      return ['info', `the advice to leave ${data.serverId} holds no longer: ${data.why}`]
    case 'warning':
    case 'move.started':
    case 'migration.progress':
      // Warnings are logged where they arise; the others would drown the rest.
      return null
    default:
      return ['debug', type]
  }
}

function rollbackOf(success: boolean | null, left: number): string {
  if (success === null) return 'nothing to roll back'
  return success ? 'rolled back' : `rollback left ${left} behind`
}

const forWhom = (audience: string | null): string => (audience === null ? '' : ` for ${audience}`)
