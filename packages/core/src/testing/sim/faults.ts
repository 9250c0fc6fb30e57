import { isTerminal } from '../../decide/migration.ts'
import { isPintailError } from '../../errors.ts'
import type { PauseTarget, Pintail } from '../../index.ts'
import type { Plan } from '../../vocabulary.ts'
import type { Judge } from './judge.ts'
import type { Step } from './kinds.ts'
import type { AskedPlan } from './plans.ts'
import type { Process } from './process.ts'
import type { TrueServer, TrueUser, World } from './world.ts'

/** What a fault can reach. */
export interface Stage {
  readonly world: World
  readonly judge: Judge
  leader(): Process | null
  restart(): void
  ask(work: Ask): void
  resume(scope: PauseTarget, key: string): void
  hostMoves(user: TrueUser, to: string): void
  /** To be called when a plan is about to be carried out: what becomes of it is judged. */
  asksFor(plan: Plan): AskedPlan
}

/** Does to the world what a step says. What it strikes is picked among what is there now. */
export function inject(sim: Stage, { kind, pick, lastsMs }: Step): void {
  const { world, judge } = sim
  const pickOne = <T>(items: readonly T[]): T | undefined => items[Math.floor(pick * items.length)]
  const here = [...world.servers.values()].filter(({ gone }) => !gone)
  const living = here.filter(({ alive }) => alive)
  const users = [...world.users.values()].filter(({ gone }) => !gone)
  const open = [...judge.migrations.values()].filter(({ status }) =>
    ['preparing', 'transferring', 'completing', 'scheduled'].includes(status),
  )
  const later = (work: () => void): void => void world.clock.setTimeout(work, lastsMs)
  const change = (server: TrueServer, how: () => void): void => {
    world.noteHealth(server)
    how()
    world.noteHealth(server)
  }
  const die = (server: TrueServer | undefined, forGood = false): void => {
    if (!server?.alive) return
    change(server, () => {
      server.alive = false
    })
    // A third of them stays dead.
    if (!forGood && pick * 3 - Math.floor(pick * 3) > 0.34) later(() => revive(server))
  }
  const revive = (server: TrueServer): void =>
    change(server, () => {
      server.alive = true
    })
  const named = (id: string | undefined): TrueServer | undefined => here.find((server) => server.id === id)

  switch (kind) {
    case 'server.dies':
      // One that has users, if there is one.
      return void die(pickOne(living.filter(({ id }) => world.on(id).length > 0)) ?? pickOne(living))
    case 'server.flaps': {
      const server = pickOne(living)
      if (!server) return
      const beats = 6
      for (let beat = 0; beat < beats; beat++)
        world.clock.setTimeout(
          () =>
            change(server, () => {
              server.alive = beat % 2 === 1
            }),
          beat * Math.max(15_000, lastsMs / 2),
        )
      return
    }
    case 'server.slows': {
      const server = pickOne(living)
      if (!server) return
      change(server, () => {
        server.slowMs = 200 + 800 * pick
      })
      return void later(() =>
        change(server, () => {
          server.slowMs = 0
        }),
      )
    }
    case 'server.loses_packets': {
      const server = pickOne(living)
      if (!server) return
      change(server, () => {
        server.lossy = true
      })
      return void later(() =>
        change(server, () => {
          server.lossy = false
        }),
      )
    }
    case 'server.returns_empty': {
      const server = pickOne(living)
      if (!server) return
      change(server, () => {
        server.alive = false
      })
      for (const user of users)
        if (user.grants.delete(server.id)) {
          user.touchedAt = world.now
          user.hidden.delete(server.id)
        }
      return void later(() => {
        // Its panel gives it back whom the books name.
        for (const user of world.on(server.id)) user.grants.set(server.id, null)
        revive(server)
      })
    }
    case 'server.blocked_for_a_region': {
      // The operator's own prober sees nothing of it; where no vantage of the region is, nobody may be moved for it.
      const watched = (world.setup.vantages ?? []).flatMap(({ region }) => region ?? [])
      const region = pickOne([...new Set(watched)]) ?? 'eu'
      const server = pickOne(living.filter(({ id }) => world.on(id).some(({ row }) => row.region === region))) ?? pickOne(living)
      if (!server) return
      world.block(server, region, true)
      world.clock.setTimeout(() => world.block(server, region, false), Math.max(lastsMs, 60_000))
      return
    }
    case 'vantage.loses_network':
    case 'vantage.falls_silent': {
      // One of them, or all.
      const all = (world.setup.vantages ?? []).map(({ name }) => name)
      const names = pick > 0.7 ? all : [pickOne(all)].flatMap((name) => name ?? [])
      const set = kind === 'vantage.falls_silent' ? world.silentVantages : world.lostVantages
      for (const name of names) set.add(name)
      return void later(() => {
        for (const name of names) set.delete(name)
      })
    }
    case 'source.recovers': {
      const source = named(pickOne(open)?.fromServerId) ?? pickOne(here.filter(({ alive }) => !alive))
      if (source) revive(source)
      return
    }
    case 'target.dies': {
      const target = named(pickOne(open)?.toServerId) ?? pickOne(living)
      // After some have moved there.
      world.clock.setTimeout(() => die(target), pick * 5000)
      return
    }
    case 'prober.loses_network':
      world.blind = true
      judge.wasBlind = true
      return void later(() => {
        world.blind = false
      })
    case 'prober.loses_part': {
      const some = here.filter((_, index) => (index + Math.floor(pick * here.length)) % here.length < Math.ceil(here.length * pick))
      for (const server of some) {
        server.reachable = false
        judge.unreachable(server.id)
      }
      // The way to the canaries is a part of it as often as not.
      if (pick * 10 - Math.floor(pick * 10) < 0.5) world.canariesLostAt ??= world.now
      return void later(() => {
        world.canariesLostAt = null
        for (const server of some) server.reachable = true
      })
    }
    case 'mover.refuses_a_user': {
      // One of those who are about to be moved, if there are such.
      const moving = [...judge.moves.values()].filter(({ state }) => state.state === 'pending' || state.state === 'moving')
      const user = world.users.get(pickOne(moving)?.connection.id ?? '') ?? pickOne(users)
      if (user) world.refusing.add(user.id)
      return void later(() => {
        if (user) world.refusing.delete(user.id)
      })
    }
    case 'registry.refuses_status':
      world.open(kind, Math.max(lastsMs, 60_000))
      // So that there is a status to write, also when the registry takes it again.
      return void die(pickOne(living), true)
    case 'host.adds_users': {
      const server = pickOne(here)
      for (let index = 0; server && index < 1 + Math.floor(pick * 4); index++) {
        const id = `new-${Math.round(world.now)}-${index}`
        world.addUser(id, server.id, { id })
      }
      return
    }
    case 'host.removes_users':
      for (const user of users.filter((_, index) => index % 5 === Math.floor(pick * 5))) {
        user.gone = true
        user.grants.clear()
      }
      return
    case 'host.moves_users': {
      const to = pickOne(living)
      // Among them those whom we are moving.
      const moving = [...judge.moves.values()].filter(({ state }) => state.state === 'moving' || state.state === 'moved')
      const some = [world.users.get(pickOne(moving)?.connection.id ?? ''), pickOne(users)]
      for (const user of some) if (user && !user.gone && to) sim.hostMoves(user, to.id)
      return
    }
    case 'host.lowers_capacity': {
      const server = named(pickOne(open)?.toServerId) ?? pickOne(here)
      if (server) server.row = { ...server.row, capacity: Math.floor(server.row.capacity * pick) }
      return
    }
    case 'host.removes_a_server': {
      const server = named(pickOne(open)?.[pick < 0.5 ? 'toServerId' : 'fromServerId']) ?? pickOne(here)
      if (!server || here.length < 3) return
      server.gone = true
      const rest = living.filter((other) => other !== server && !other.gone)
      for (const user of world.on(server.id)) {
        const to = pickOne(rest)
        if (to) sim.hostMoves(user, to.id)
      }
      // Also who finds no other server: it is the host that has taken it from him.
      for (const user of users) if (user.grants.delete(server.id)) user.touchedAt = world.now
      return
    }
    case 'host.adds_a_server': {
      const id = world.servers.size + 1
      world.addServer({ id, host: `10.0.1.${id}`, capacity: 5 })
      return
    }
    case 'leases.are_lost':
      // Whoever loses it keeps it until its time is over, as every lease store promises.
      world.leaseLost = true
      return
    case 'engine.killed_before_a_call':
    case 'engine.killed_after_a_call': {
      const process = sim.leader()
      process?.dieAt(kind === 'engine.killed_before_a_call' ? 'before' : 'after', Math.floor(pick * pick * 8))
      return
    }
    case 'engine.freezes': {
      const process = sim.leader()
      if (!process || process.frozen) return
      process.freeze()
      return void later(() => process.thaw())
    }
    case 'engine.stops':
      return void sim.restart()
    case 'clock.jumps':
      sim.leader()?.jump(Math.min(lastsMs, 60_000))
      judge.skewMs += Math.min(lastsMs, 60_000)
      return
    case 'operator.cancels':
    case 'operator.approves':
    case 'operator.pauses':
    case 'operator.cordons':
    case 'operator.drains':
    case 'operator.executes_a_plan':
    case 'operator.retires':
    case 'operator.overrides_the_guard':
    case 'operator.acknowledges':
    case 'operator.creates_a_migration':
    case 'operator.moves_one_user':
    case 'operator.schedules':
    case 'operator.retries':
    case 'operator.cancels_all':
      return void operate(sim, { kind, pick, lastsMs, at: 0, phase: null })
    default:
      return void world.open(kind, lastsMs)
  }
}

function operate(sim: Stage, { kind, pick, lastsMs }: Step): void {
  const { world, judge } = sim
  const pickOne = <T>(items: readonly T[]): T | undefined => items[Math.floor(pick * items.length)]
  const here = [...world.servers.values()].filter(({ gone }) => !gone)
  const named = (id: string | undefined): TrueServer | undefined => here.find((one) => one.id === id)
  const any = pickOne(here)
  if (!any) return
  const server = any
  const evacuations = [...judge.evacuations.values()].filter(({ endedAt }) => endedAt === null)
  const incident = pickOne([...judge.incidents.values()].filter(({ status }) => status === 'open'))
  switch (kind) {
    case 'operator.cancels': {
      const open = [...judge.migrations.values()].filter(({ status }) =>
        ['suggested', 'scheduled', 'preparing', 'transferring'].includes(status),
      )
      const migration = pickOne(open)
      const evacuation = pickOne(evacuations)
      if (pick * 10 - Math.floor(pick * 10) < 0.5 && migration)
        return void sim.ask((engine) => engine.migrations.cancel(migration.id).then(() => void judge.cancelled.add(migration.id)))
      if (evacuation) sim.ask((engine) => engine.evacuations.cancel(evacuation.id).then(() => void judge.cancelled.add(evacuation.id)))
      return
    }
    case 'operator.approves': {
      const evacuation = pickOne(evacuations.filter(({ status }) => status === 'suggested'))
      if (evacuation) sim.ask((engine) => engine.evacuations.approve(evacuation.id))
      return
    }
    case 'operator.pauses': {
      const evacuation = pickOne(evacuations)
      const migration = pickOne([...judge.migrations.values()].filter(({ status }) => !isTerminal(status)))
      const scopes: { readonly key: string; readonly scope: PauseTarget }[] = [
        { key: 'all', scope: 'all' },
        { key: migration?.fromServerId ?? server.id, scope: { serverId: migration?.fromServerId ?? server.id } },
        ...(evacuation ? [{ key: evacuation.id, scope: { evacuationId: evacuation.id } }] : []),
        ...(migration ? [{ key: migration.id, scope: { migrationId: migration.id } }] : []),
      ]
      const { key, scope } = scopes[Math.floor(pick * 1000) % scopes.length] as (typeof scopes)[number]
      return void sim.ask(async (engine) => {
        await engine.pause(scope, { reason: 'somebody is looking' })
        judge.paused.set(key, scope)
        world.clock.setTimeout(() => sim.resume(scope, key), lastsMs)
      })
    }
    case 'operator.cordons':
      return void sim.ask(async (engine) => {
        await engine.cordon(server.id)
        judge.cordoned.add(server.id)
        world.clock.setTimeout(() => {
          judge.cordoned.delete(server.id)
          sim.ask((other) => other.uncordon(server.id))
        }, lastsMs)
      })
    case 'operator.drains':
      return void sim.ask(async (engine) => {
        await engine.drain(server.id)
        judge.cordoned.add(server.id)
      })
    case 'operator.executes_a_plan':
      return void sim.ask(async (engine) => {
        const plan = await engine.plan({ drain: [server.id] })
        // Somebody looks at it for a while, as often as not.
        if (pick * 100 - Math.floor(pick * 100) < 0.5) await world.wait(lastsMs % 60_000)
        const asked = sim.asksFor(plan)
        const evacuation = await engine.execute(plan).catch((error) => {
          asked.refused(error)
          throw error
        })
        const made = [...judge.migrations.values()].filter(
          ({ evacuationId, decisionId }) => evacuationId === evacuation.id && decisionId === evacuation.decisionId,
        )
        judge.executed(plan, made)
        asked.executed(evacuation, made)
      })
    case 'operator.retires': {
      const failed = named(incident?.serverId)
      const server = pick * 10 - Math.floor(pick * 10) < 0.9 && failed ? failed : any
      server.status = 'maintenance'
      server.statusBy = 'operator'
      server.statusAt = world.now
      return
    }
    case 'operator.overrides_the_guard':
      if (incident) sim.ask((engine) => engine.incidents.overrideGuard(incident.id))
      return
    case 'operator.acknowledges':
      if (incident) sim.ask((engine) => engine.incidents.acknowledge(incident.id))
      return
    case 'operator.creates_a_migration': {
      const to = pickOne([...world.servers.values()].filter(({ gone, id }) => !gone && id !== server.id))
      const request = { serverId: server.id, autoApprove: pick < 0.7, notes: 'by hand', ...(to && pick > 0.3 && { toServerId: to.id }) }
      // Twice at once: at most one of them may win.
      sim.ask((engine) => engine.migrations.create(request))
      return void sim.ask((engine) => engine.migrations.create(request))
    }
    case 'operator.moves_one_user': {
      const user = pickOne([...world.users.values()].filter(({ gone }) => !gone))
      if (!user) return
      const request = { serverId: user.home, connectionIds: [user.id], autoApprove: true, triggeredBy: 'user' } as const
      return void sim.ask((engine) => engine.migrations.create(request))
    }
    case 'operator.schedules': {
      const migration = pickOne([...judge.migrations.values()].filter(({ status }) => status === 'suggested' || status === 'scheduled'))
      if (migration) sim.ask((engine) => engine.migrations.schedule(migration.id, { at: world.clock.now() + lastsMs }))
      return
    }
    case 'operator.retries': {
      const migration = pickOne([...judge.migrations.values()].filter(({ status }) => status === 'failed' || status === 'cancelled'))
      if (migration) sim.ask((engine) => engine.migrations.retry(migration.id))
      return
    }
    case 'operator.cancels_all':
      return void sim.ask(async (engine) => {
        for (const { id } of await engine.evacuations.cancelAll()) judge.cancelled.add(id)
      })
  }
}

/** A refusal is an answer; anything else that a call throws is our defect. */
export function isRefusal(error: unknown): boolean {
  return isPintailError(error) && error.code !== 'internal'
}

export type Ask = (engine: Pintail) => Promise<unknown>
