import type { PauseTarget } from '../../index.ts'
import type { Ask } from './faults.ts'
import type { Judge } from './judge.ts'
import type { Act, ActScope, NthOn } from './script.ts'
import type { TrueServer, TrueUser, World } from './world.ts'

/** What a script can reach. */
export interface ScriptStage {
  readonly world: World
  readonly judge: Judge
  ask(work: Ask, refused?: (why: string) => void): void
  replace(startsAfterMs: number): void
  hostMoves(user: TrueUser, to: string): void
  /** An act that could not be done, or was refused. */
  refused(act: Act, why: string): void
}

/** The act of this name, of which several may have one shape. */
type Of<D extends Act['do'], A = Act> = A extends { readonly do: infer K } ? (D extends K ? A : never) : never
/** Null: it is done. A text: why it cannot be. Otherwise what an operator asks of whoever leads. */
type Done = Ask | string | null

/** A person who speaks of something waits until it is there: checks come a little later in one run than in another. */
const waits = { times: 20, everyMs: 1000 }

/** Does what an act says. */
export function perform(stage: ScriptStage, act: Act, times = 0): void {
  const does = acts[act.do] as (stage: ScriptStage, act: Act) => Done
  const done = does(stage, act)
  const mayCome = typeof done === 'string' && act.do.startsWith('operator.') && times < waits.times
  if (mayCome) stage.world.clock.setTimeout(() => perform(stage, act, times + 1), waits.everyMs)
  else if (typeof done === 'string') stage.refused(act, done)
  else if (done !== null) stage.ask(done, (why) => stage.refused(act, why))
}

const health =
  (change: (server: TrueServer) => void) =>
  ({ world }: ScriptStage, { server }: { readonly server: string }): Done => {
    const found = world.servers.get(server)
    if (!found) return 'there is no such server'
    world.noteHealth(found)
    change(found)
    world.noteHealth(found)
    return null
  }

const incidentOn = ({ incidents }: Judge, server: string) =>
  [...incidents.values()].find(({ serverId, status }) => serverId === server && status === 'open')

const acts: { readonly [D in Act['do']]: (stage: ScriptStage, act: Of<D>) => Done } = {
  'server.dies': health((server) => {
    server.alive = false
  }),
  'server.loses_packets': health((server) => {
    server.lossy = true
  }),
  'server.slows': health((server) => {
    server.slowMs = 900
  }),
  'server.is_well': health((server) => {
    server.alive = true
    server.lossy = false
    server.slowMs = 0
  }),
  // From the registry: whether it still runs is another matter.
  'server.is_removed': ({ world }, { server }) => {
    world.unlisted.add(server)
    return null
  },
  'server.is_added': ({ world }, { row }) => {
    if (!world.unlisted.delete(String(row.id))) world.addServer(row)
    return null
  },
  'user.is_added': ({ world }, { user: id, server, mobility, prefers }) => {
    world.addUser(id, server, { id, mobility })
    world.preferences.set(id, prefers)
    return null
  },
  'user.is_moved_by_the_host': (stage, { user, to }) => {
    const found = stage.world.users.get(user)
    if (!found) return 'there is no such user'
    stage.hostMoves(found, to)
    return null
  },
  'engine.is_killed': (stage, { startsAfterMs }) => {
    stage.replace(startsAfterMs)
    return null
  },
  'operator.cordons':
    ({ judge }, { server }) =>
    (engine) =>
      engine.cordon(server).then(() => judge.cordoned.add(server)),
  'operator.uncordons': ({ judge }, { server }) => {
    // From the asking on the word does not stand any more.
    judge.cordoned.delete(server)
    return (engine) => engine.uncordon(server)
  },
  'operator.drains':
    ({ judge }, { server }) =>
    (engine) =>
      engine.drain(server).then(() => judge.cordoned.add(server)),
  'operator.acknowledges': ({ judge }, { server }) => {
    const incident = incidentOn(judge, server)
    return incident ? (engine) => engine.incidents.acknowledge(incident.id) : 'it has no open incident'
  },
  'operator.overrides_the_guard': ({ judge }, { server, forMs }) => {
    const incident = incidentOn(judge, server)
    return incident ? (engine) => engine.incidents.overrideGuard(incident.id, { forMs }) : 'it has no open incident'
  },
  'operator.requests': ({ world }, act) => {
    const users = act.users?.filter((id) => act.servers.includes(world.users.get(id)?.home ?? '')) ?? null
    return users?.length === 0 ? 'none of those users is there' : request({ ...act, users })
  },
  'operator.approves': ({ judge }, { what }) => {
    const found = recordOf(judge, what)
    if (!found) return 'there is none such'
    return (engine) => engine[found.kind].approve(found.id)
  },
  'operator.cancels': ({ judge }, { what }) => {
    const found = recordOf(judge, what)
    if (!found) return 'there is none such'
    return (engine) => engine[found.kind].cancel(found.id).then(() => judge.cancelled.add(found.id))
  },
  'operator.schedules': ({ judge, world }, { migration, startsAt }) => {
    const id = migrationId(judge, migration)
    return id === null ? 'there is no such migration' : ({ migrations }) => migrations.schedule(id, { at: world.startedAt + startsAt })
  },
  'operator.pauses': ({ judge, world }, { scope, forMs }) => {
    const found = scopeOf(judge, scope)
    if (!found) return 'there is none such'
    return async (engine) => {
      await engine.pause(found.scope, { reason: 'as recorded', ...(forMs !== null && { forMs }) })
      judge.paused.set(found.key, found.scope)
      if (forMs !== null) world.clock.setTimeout(() => judge.paused.delete(found.key), forMs)
    }
  },
  'operator.resumes': ({ judge }, { scope }) => {
    const found = scopeOf(judge, scope)
    if (!found) return 'there is none such'
    judge.paused.delete(found.key)
    return (engine) => engine.resume(found.scope)
  },
}

function request({ servers, users, reason, approved }: Of<'operator.requests'>): Ask {
  const [only] = servers
  if (servers.length === 1 && only !== undefined && approved !== null) {
    const asked = { serverId: only, reason, autoApprove: approved, ...(users && { connectionIds: [...users] }) }
    return ({ migrations }) => migrations.create(asked)
  }
  const asked = { drain: [...servers], reason, ...(users && { connections: [...users] }) }
  return async (engine) => engine.execute(await engine.plan(asked))
}

function recordOf(judge: Judge, what: Of<'operator.cancels'>['what']): { kind: 'evacuations' | 'migrations'; id: string } | null {
  const kind = 'evacuation' in what ? 'evacuations' : 'migrations'
  const id = 'evacuation' in what ? evacuationId(judge, what.evacuation) : migrationId(judge, what.migration)
  return id === null ? null : { kind, id }
}

/** What is paused, for the engine and for the judge. */
function scopeOf(judge: Judge, scope: ActScope): { readonly key: string; readonly scope: PauseTarget } | null {
  if (scope === 'all') return { key: 'all', scope }
  if ('server' in scope) return { key: scope.server, scope: { serverId: scope.server } }
  const found = recordOf(judge, scope)
  if (!found) return null
  return { key: found.id, scope: found.kind === 'evacuations' ? { evacuationId: found.id } : { migrationId: found.id } }
}

function evacuationId({ evacuations }: Judge, { server, nth }: NthOn): string | null {
  return [...evacuations.values()].filter(({ fromServerIds }) => fromServerIds[0] === server)[nth]?.id ?? null
}

function migrationId({ migrations }: Judge, { server, nth }: NthOn): string | null {
  return [...migrations.values()].filter(({ fromServerId }) => fromServerId === server)[nth]?.id ?? null
}
