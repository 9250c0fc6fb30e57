import { isTerminal } from '../../decide/migration.ts'
import { errorText } from '../../errors.ts'
import type { PauseTarget, Pintail, PintailEvent } from '../../index.ts'
import { createPintail } from '../../index.ts'
import type { ConnectionMover, JournalEntry, MigrationStore } from '../../ports.ts'
import type { Plan } from '../../vocabulary.ts'
import { seededRandom } from '../random.ts'
import { judgeJournal } from '../trace/index.ts'
import { type Ask, inject, isRefusal, type Stage } from './faults.ts'
import { Judge } from './judge.ts'
import type { FaultKind, Phase, Step, Violation } from './kinds.ts'
import { perform, type ScriptStage } from './perform.ts'
import { type AskedPlan, Plans } from './plans.ts'
import { Process } from './process.ts'
import type { Act, Script } from './script.ts'
import { type History, secret } from './setup.ts'
import { type TrueUser, World } from './world.ts'

export interface SimResult {
  readonly violations: readonly Violation[]
  /** Calls of ports, and timers that fired. */
  readonly steps: number
  readonly struck: readonly { readonly kind: FaultKind; readonly phase: Phase; readonly at: number }[]
  readonly crashes: number
  readonly moves: number
  /** Evacuations that were made of advice. */
  readonly advised: number
  /** Plans that were carried out, users that were looked for where a plan has sent them, and plans that were refused as stale. */
  readonly plans: { readonly executed: number; readonly settled: number; readonly refused: number }
  readonly virtualMs: number
  /** What the engines told, for a reader: time and text. */
  readonly trace: readonly string[]
  /** What a script asked for and nobody did, with the reason. */
  readonly refused: readonly { readonly at: number; readonly act: Act; readonly why: string }[]
  /** Every entry of the journal that the engines have written. */
  readonly journal: readonly JournalEntry[]
}

interface Engine {
  readonly process: Process
  readonly pintail: Pintail
}

/** How many steps a world may take: a loop without end is a defect, and must not hang the campaign. */
const mostSteps = 400_000
/** And for each second of each server in a script, which may be a night of a large fleet. */
const stepsPerSecond = 10

/** So long after a fault, or after an evacuation, something of it may still be under way, milliseconds. */
const quietMs = 120_000

/** One history, run to its end. */
export class Simulation implements Stage, ScriptStage {
  readonly history: History
  readonly world: World
  readonly judge: Judge
  readonly #plans: Plans
  readonly #engines: Engine[] = []
  readonly #armed: Step[] = []
  readonly #struck: { readonly kind: FaultKind; readonly phase: Phase; readonly at: number }[] = []
  readonly #trace: string[] = []
  readonly #traced: boolean
  readonly #refused: { readonly at: number; readonly act: Act; readonly why: string }[] = []
  readonly #watched: { readonly status: string; readonly then: () => void }[] = []
  /** Hears every event of every engine. */
  onEvent: (event: PintailEvent) => void = () => {}
  /** Hears every log line of every engine. */
  onLine: (level: string, message: string, data: object) => void = () => {}
  /** What moves the users of an engine. Default: the panel of the world. */
  moverOf: (process: Process) => ConnectionMover = (process) => this.world.mover(process)
  /** When everything has been well for a while, and before the engines are stopped. */
  onRest: () => Promise<void> | void = () => {}
  #crashes = 0
  #names = 0
  #phase: Phase = 'quiet'
  #healed = false

  constructor(history: History, traced = false, store?: MigrationStore) {
    this.history = history
    this.#traced = traced
    this.world = new World(history.setup, store)
    this.judge = new Judge(this.world)
    this.world.judge = this.judge
    const isOther = ({ kind }: { readonly kind: FaultKind }) => kind !== 'operator.executes_a_plan'
    this.#plans = new Plans(this.world, this.judge, (since, own) => {
      const isStruck = this.#struck.some((one) => isOther(one) && one.at >= since - quietMs)
      const isOver = (at: number | null) => at !== null && at - this.world.startedAt < since - quietMs
      const isAlone = [...this.judge.evacuations.values()].every(({ id, endedAt }) => id === own || isOver(endedAt))
      return !isStruck && !this.#healed && isAlone
    })
    this.world.onPhase = (status) => this.#entered(status)
  }

  // ---------------------------------------------------------------------------------------------------------- engines

  #start(): void {
    const { world } = this
    const { setup } = this.history
    const process = new Process(`engine-${++this.#names}`, world.clock)
    process.onDeath = () => {
      this.#crashes++
      this.#tell(`${process.name} is killed`)
      this.#again(process)
    }
    const line = (level: string) => (data: object, message: string) => {
      if (!process.dead) this.onLine(level, message, data)
    }
    const pintail = createPintail({
      logger: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
      registry: world.registry(process),
      mover: this.moverOf(process),
      store: world.storeFor(process),
      leases: world.leases(process),
      probers: [world.prober(process)],
      log: world.log(process),
      ...(setup.vantages && { observations: world.observations(process) }),
      ...(setup.guards && { guards: [world.guards(process)] }),
      ...(setup.notifier && { notifier: world.notifier(process) }),
      clock: process.clock,
      random: seededRandom(setup.seed * 101 + this.#names),
      policy: setup.policy,
    })
    if (setup.rudeListeners) {
      pintail.on('*', () => {
        throw new Error('a listener of the host throws')
      })
      pintail.on('*', () => Promise.reject(new Error('a listener of the host rejects')))
    }
    pintail.on('*', (event) => {
      if (process.dead) return
      this.onEvent(event)
      if (setup.rudeListeners && JSON.stringify(event).includes(secret)) this.judge.report('I13', `a secret is in the event ${event.type}`)
      if (this.#traced && !(event.type === 'warning' && event.data.code === 'listener_failed'))
        this.#tell(`${process.name} ${event.type} ${JSON.stringify(event.data)}`)
    })
    this.#engines.push({ process, pintail })
    pintail.start().catch((error) => this.judge.report('I13', `start() failed: ${errorText(error)}`))
  }

  /** A supervisor starts it again after a while. */
  #again(process: Process): void {
    this.#drop(process)
    this.world.clock.setTimeout(() => this.#start(), 1000 + this.world.random() * 20_000)
  }

  #drop(process: Process): void {
    const index = this.#engines.findIndex((engine) => engine.process === process)
    if (index >= 0) this.#engines.splice(index, 1)
  }

  /** The leader is killed, and another one starts so much later; the lease has run out by then. */
  replace(startsAfterMs: number): void {
    const process = this.leader()
    if (!process) return
    process.onDeath = () => {
      this.#crashes++
      this.#tell(`${process.name} is killed`)
      this.#drop(process)
    }
    process.kill()
    this.world.clock.setTimeout(() => {
      this.world.lease.holder = null
      this.#start()
    }, startsAfterMs)
  }

  refused(act: Act, why: string): void {
    this.#refused.push({ at: Math.round(this.world.now), act, why })
    this.#tell(`${act.do} is refused: ${why}`)
  }

  leader(): Process | null {
    const alive = this.#engines.filter(({ process }) => !process.dead)
    return (alive.find(({ pintail }) => pintail.status().state === 'leading') ?? alive[0])?.process ?? null
  }

  /** Stops one as a deployment does, and starts another. */
  restart(): void {
    const process = this.leader()
    const engine = this.#engines.find((one) => one.process === process)
    if (!engine || engine.process.frozen) return
    this.#engines.splice(this.#engines.indexOf(engine), 1)
    void this.#stop(engine).then(() => this.world.clock.setTimeout(() => this.#start(), 500))
  }

  async #stop({ process, pintail }: Engine): Promise<void> {
    const { world, judge } = this
    const begun = world.now
    const timeoutMs = 10_000
    let ended = false
    // A process that is killed while it stops leaves nobody to wait for.
    const bound = world.wait(timeoutMs + 15_000)
    await Promise.race([
      pintail.stop({ timeoutMs }).then(
        () => {
          ended = true
        },
        (error) => judge.report('I12', `stop() rejects: ${errorText(error)}`),
      ),
      bound,
    ])
    if (process.dead || process.frozen || process.wasFrozen) return
    if (!ended) return judge.report('I12', 'stop() does not return')
    if (world.now - begun > timeoutMs + 6000) judge.report('I12', `stop() took ${Math.round(world.now - begun)} ms`)
    if (process.timers > 0) judge.report('I12', `stop() leaves ${process.timers} timer${process.timers === 1 ? '' : 's'}`)
    process.dead = true
  }

  // ---------------------------------------------------------------------------------------------------------- operators

  /** A person asks whoever leads. What is refused is refused; what is cut off is unknown. */
  ask(work: Ask, refused: (why: string) => void = () => {}): void {
    const process = this.leader()
    const engine = this.#engines.find((one) => one.process === process)
    const failed = (error: unknown): void => {
      if (isRefusal(error)) refused(errorText(error))
      else this.judge.report('I13', `an operator's call fails with ${errorText(error)}`)
    }
    if (engine) work(engine.pintail).catch(failed)
    else refused('no engine runs')
  }

  /** Until it is heard: nobody forgets a pause that he has made. */
  resume(scope: PauseTarget, key: string): void {
    let heard = false
    // From the asking on the word does not stand any more.
    this.judge.paused.delete(key)
    this.ask((engine) =>
      engine.resume(scope).then(() => {
        heard = true
      }),
    )
    this.world.clock.setTimeout(() => {
      if (!heard) this.resume(scope, key)
    }, 20_000)
  }

  asksFor(plan: Plan): AskedPlan {
    return this.#plans.asksFor(plan)
  }

  hostMoves(user: TrueUser, to: string): void {
    user.grants.delete(user.home)
    this.world.rehome(user, to)
    user.grants.set(to, null)
    user.touchedAt = this.world.now
  }

  // ------------------------------------------------------------------------------------------------------------- faults

  /** Calls back once, when a migration next enters this state. */
  watch(status: string, then: () => void): void {
    this.#watched.push({ status, then })
  }

  #entered(status: string): void {
    for (const watched of this.#watched.filter((one) => one.status === status)) {
      this.#watched.splice(this.#watched.indexOf(watched), 1)
      watched.then()
    }
    const phase = status as Phase
    if (status === 'closed' && this.#phase !== 'recovering') return
    this.#phase = ['completed', 'failed', 'cancelled', 'approved', 'closed'].includes(status) ? 'quiet' : phase
    if (this.#healed) return
    for (const step of this.#armed.filter((armed) => armed.phase === this.#phase)) {
      this.#armed.splice(this.#armed.indexOf(step), 1)
      this.#strike(step)
    }
  }

  #strike(step: Step): void {
    this.#struck.push({ kind: step.kind, phase: this.#phase, at: Math.round(this.world.now) })
    this.#tell(`▲ ${step.kind} (${this.#phase}, lasts ${Math.round(step.lastsMs)} ms)`)
    inject(this, step)
  }

  #tell(text: string): void {
    if (this.#traced) this.#trace.push(`${(this.world.now / 1000).toFixed(3).padStart(9)} s  ${text}`)
  }

  // --------------------------------------------------------------------------------------------------------------- run

  async run(): Promise<SimResult> {
    const { world, judge } = this
    const { setup, steps, script } = this.history
    const unhandled = (reason: unknown): void => judge.report('I13', `an unhandled rejection: ${errorText(reason)}`)
    process.on('unhandledRejection', unhandled)
    try {
      for (let index = 0; index < setup.engines; index++) this.#start()
      for (const step of steps)
        world.clock.setTimeout(() => {
          if (this.#healed) return
          if (step.phase === null || step.phase === this.#phase) this.#strike(step)
          else this.#armed.push(step)
        }, step.at)
      await (script ? this.#perform(script) : this.#fromTroubleToCalm())
      for (const engine of this.#engines.splice(0)) await this.#stopped(engine)
      await world.clock.settle()
      await this.#audit()
    } finally {
      process.off('unhandledRejection', unhandled)
    }
    return {
      violations: judge.violations,
      steps: world.calls,
      struck: this.#struck,
      crashes: this.#crashes,
      moves: judge.moved,
      advised: judge.advised,
      plans: { ...this.#plans.counts },
      virtualMs: world.now,
      trace: this.#trace,
      refused: this.#refused,
      journal: await world.journal(),
    }
  }

  async #fromTroubleToCalm(): Promise<void> {
    const { troubleMs, calmMs } = this.history.setup
    await this.advance(troubleMs)
    // Before anything is healed: what happens after that is nobody's plan.
    this.#plans.settle()
    this.#heal()
    await this.advance(calmMs)
    await this.#verdict()
    await this.onRest()
  }

  /** Ends where the script does: what is still under way then is nobody's fault. */
  async #perform({ acts, failures, endsMs }: Script): Promise<void> {
    const { world, judge } = this
    for (const { user, to, ...failure } of failures) world.failures.set(`${user} ${to}`, failure)
    for (const { at, ...act } of acts)
      world.clock.setTimeout(() => {
        this.#tell(`▲ ${JSON.stringify(act)}`)
        perform(this, act)
      }, at)
    await this.advance(endsMs)
    judge.strays()
  }

  /** Plays a scenario in this world: engines run, the judge watches, and at the end all of them are stopped. */
  async play(act: () => Promise<void>): Promise<readonly Violation[]> {
    const { world, judge } = this
    const unhandled = (reason: unknown): void => judge.report('I13', `an unhandled rejection: ${errorText(reason)}`)
    process.on('unhandledRejection', unhandled)
    try {
      for (let index = 0; index < this.history.setup.engines; index++) this.#start()
      await this.advance(2000)
      await act()
      judge.strays()
      for (const engine of this.#engines.splice(0)) await this.#stopped(engine)
      await world.clock.settle()
      await this.#audit()
    } finally {
      process.off('unhandledRejection', unhandled)
    }
    return judge.violations
  }

  /** Whatever happened, the journal of it must bear an auditor who has nothing else. */
  async #audit(): Promise<void> {
    for (const { invariant, rule, seq, message } of judgeJournal(await this.world.journal()))
      this.judge.report(invariant, `the journal breaks ${rule} with entry ${seq}: ${message}`)
  }

  /** The engine that leads, or one that is there. */
  engine(): Pintail {
    const process = this.leader()
    const engine = this.#engines.find((one) => one.process === process)
    const found = engine ?? this.#engines[0]
    if (!found) throw new Error('no engine runs in this world')
    return found.pintail
  }

  /** The engine of a process; undefined: it has none, or none any more. */
  engineOf(process: Process): Pintail | undefined {
    return this.#engines.find((one) => one.process === process)?.pintail
  }

  /** One that lives and does not lead. */
  standby(): Pintail | null {
    const leader = this.leader()
    return this.#engines.find(({ process }) => !process.dead && process !== leader)?.pintail ?? null
  }

  async #stopped(engine: Engine): Promise<void> {
    const stopping = this.#stop(engine)
    await this.advance(30_000)
    await stopping
  }

  /** Lets virtual time pass, milliseconds. */
  async advance(ms: number): Promise<void> {
    const end = this.world.now + ms
    const { setup, script } = this.history
    const most = mostSteps + (script ? (setup.servers.length * script.endsMs * stepsPerSecond) / 1000 : 0)
    while (this.world.now < end && this.world.calls < most) {
      await this.world.clock.advance(Math.min(5000, end - this.world.now))
      // The first break tells the most; what follows is often only its consequence.
      if (this.judge.violations.length >= 20) return
    }
    if (this.world.calls >= most) this.judge.report('progress', `more than ${most} calls: something goes round in circles`)
  }

  #heal(): void {
    const { world, judge } = this
    this.#healed = true
    this.#tell('— all faults are over —')
    world.closeAll()
    world.leaseLost = false
    for (const { process } of [...this.#engines]) if (process.frozen) process.thaw()
    for (const server of world.servers.values()) {
      world.noteHealth(server)
      server.slowMs = 0
      server.lossy = false
      if (world.random() < 0.3) server.alive = true
    }
    for (const [key, scope] of [...judge.paused]) this.resume(scope, key)
    // Also what was said in the moment in which the engine died, and nobody knows whether it was heard.
    const resumeAll = (): void => {
      for (const { scope } of this.engine().status().pauses) this.resume(scope, JSON.stringify(scope))
    }
    for (let minute = 1; minute < 4; minute++) world.clock.setTimeout(resumeAll, minute * 60_000)
    // In a world that only suggests, somebody says yes to everything now.
    const approve = (): void => {
      const suggested = [...judge.migrations.values()].filter(({ status }) => status === 'suggested')
      for (const id of new Set(suggested.map(({ evacuationId }) => evacuationId))) this.ask((engine) => engine.evacuations.approve(id))
      if (this.history.setup.policy.advice) this.ask((engine) => engine.advice())
    }
    for (let minute = 1; minute < 12; minute++) world.clock.setTimeout(approve, minute * 60_000)
  }

  /** When everything has been well for a while, everything that can be done is done. */
  async #verdict(): Promise<void> {
    const { world, judge } = this
    const { setup } = this.history
    judge.strays()
    const engine = this.#engines.find(({ process, pintail }) => !process.dead && pintail.status().state === 'leading')
    if (!engine) return judge.report('progress', 'nobody leads')
    const status = engine.pintail.status()
    const servers = [...world.servers.values()].filter(({ gone }) => !gone)
    // What a guard holds waits, with its places kept.
    const isHeld = status.guards.length > 0 || status.registry.stale || judge.lastMoveAt > world.now - 60_000
    // Somebody may just have set out when the world ends.
    const awaited = new Set<string>()
    for (const { status: state, toServerId, createdAt } of judge.migrations.values())
      if (!isTerminal(state) && createdAt > world.clock.now() - 60_000) awaited.add(toServerId)
    for (const { serverId, reserved } of isHeld ? [] : status.servers)
      if (reserved > 0 && !awaited.has(serverId) && setup.registry.tellsLoad && world.servers.get(serverId)?.gone === false)
        judge.report('I2', `${reserved} place${reserved === 1 ? ' is' : 's are'} reserved on ${serverId} for nobody`)
    for (const { id, status: state, notBefore, createdAt } of judge.migrations.values())
      if (!isHeld && !isTerminal(state) && Math.max(notBefore ?? 0, createdAt) < world.clock.now() - 120_000)
        judge.report('progress', `migration ${id} is still ${state}`)
    for (const incident of judge.incidents.values()) {
      const server = world.servers.get(incident.serverId)
      const isBlocked = Math.max(...(server?.blockedAt.values() ?? []), Number.NEGATIVE_INFINITY) > world.now - 120_000
      if (incident.status === 'open' && server && !server.gone && !isBlocked && world.wellSince(server, world.now - 120_000))
        judge.report('progress', `the incident of ${incident.serverName} is open, though it is well`)
    }
    for (const server of servers)
      if (
        !this.#struck.some(({ kind }) => kind === 'registry.is_stale') &&
        server.statusBy === 'engine' &&
        server.status !== 'online' &&
        world.wellSince(server, world.now - 240_000)
      )
        judge.report('progress', `${server.id} is well, and still ${server.status} by our own word`)
    for (const revoke of judge.revokes.values()) {
      const server = world.servers.get(revoke.serverId)
      if (
        revoke.effect !== 'rollback' &&
        server?.alive &&
        !server.gone &&
        revoke.dueAt - world.startedAt < world.now - 120_000 - judge.skewMs
      )
        judge.report(
          'progress',
          `the grant of ${revoke.move.connection.id} on ${revoke.serverId} is not taken back since ${Math.round(revoke.dueAt - world.startedAt)}`,
        )
    }
    const kept = await world.journal()
    const lost = kept.filter(({ seq, at }) => !world.logged.has(`journal-${seq}`) && at - world.startedAt < world.now - 120_000)
    if (lost.length > 0) judge.report('I4', `${lost.length} entries of the journal never reached the log, the first: ${lost[0]?.type}`)

    if (isHeld) return
    const report = new Map(status.servers.map((one) => [String(one.serverId), one]))
    const headroom = setup.policy.placement?.hostHeadroom ?? 0
    for (const dead of servers.filter(({ alive }) => !alive)) {
      const incident = [...judge.incidents.values()].find(
        ({ serverId, audience, status: state }) => serverId === dead.id && state === 'open' && !audience,
      )
      const evacuation = incident?.evacuationId && judge.evacuations.get(incident.evacuationId)
      if (dead.statusBy === 'operator' || !report.has(dead.id)) continue
      if (!incident) {
        if (dead.status === 'online') judge.report('progress', `${dead.id} is dead, and there is no incident`)
        continue
      }
      if (!evacuation || evacuation.status === 'cancelled' || evacuation.cancelledWhy !== null || judge.cancelled.has(evacuation.id))
        continue
      if (setup.registry.setsStatus && evacuation?.approvedAt && dead.status === 'online' && judge.migrations.size > 0)
        judge.report('progress', `${dead.id} is dead and evacuated, and still online in the books`)
      const cancelled = [...judge.migrations.values()].filter(
        ({ id, evacuationId }) => evacuationId === evacuation.id && judge.cancelled.has(id),
      )
      const left = world
        .on(dead.id)
        .filter(({ row }) => row.mobility !== 'pinned')
        // A list of who was active lately does not show who was told to have moved and has not.
        .filter(({ touchedAt }) => setup.registry.coverage !== 'active' || touchedAt !== Number.POSITIVE_INFINITY)
        // Whom every target has refused is reported, and no promise is broken.
        .filter(({ id }) => !evacuation.unplaced.some(({ connectionId, code }) => connectionId === id && code === 'refused_everywhere'))
        .filter(({ id }) => !cancelled.some((migration) => judge.moves.has(`${migration.id}/${id}`)))
      if (left.length === 0) continue
      const room = servers.filter((target) => {
        const seen = report.get(target.id)
        return (
          target.alive &&
          target.status === 'online' &&
          seen?.verdict.verdict === 'up' &&
          !seen.cordoned &&
          seen.penalty < 3 &&
          (setup.registry.tellsLoad ? world.on(target.id) : world.rowsOn(target.id)).length + headroom < target.row.capacity
        )
      })
      if (room.length > 0)
        judge.report(
          'progress',
          `${left.length} user${left.length === 1 ? ' is' : 's are'} left on the dead ${dead.id} (${left[0]?.id}) while ${room[0]?.id} has room`,
        )
    }
  }
}

/** Runs one history. @param traced also tells what happened, line by line */
export function simulate(history: History, traced = false, store?: MigrationStore): Promise<SimResult> {
  return new Simulation(history, traced, store).run()
}
