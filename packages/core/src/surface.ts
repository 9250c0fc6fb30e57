import type { EventType, PintailEvent, PintailEvents } from './events.ts'
import type { SampleInput } from './ports.ts'
import type { ServerRef } from './rows.ts'
import type {
  Advice,
  DecisionRecord,
  EngineHealth,
  Evacuation,
  EvacuationStatus,
  FleetStatus,
  Incident,
  IncidentStatus,
  Migration,
  MigrationReason,
  MigrationStats,
  MigrationStatus,
  Plan,
  PlanRequest,
  PolicyInput,
  PolicyView,
} from './vocabulary.ts'

/** Gets the payload of one event type, or with `*` every event with its place in the journal. */
export type Listener<T extends EventType | '*'> = (payload: T extends EventType ? PintailEvents[T] : PintailEvent) => unknown

/** One page of a list, newest first. */
export interface Paging {
  /** 1–200. Default 50. */
  readonly limit?: number
  /** How many of the newest to pass over. Default 0. */
  readonly offset?: number
}

/** All of it at once; what is absent narrows nothing. */
export interface MigrationFilter extends Paging {
  /** At most 200. */
  readonly ids?: readonly string[]
  readonly status?: readonly MigrationStatus[]
  /** True: those that are not completed, failed or cancelled. False: the others. */
  readonly open?: boolean
  /** Source or target. */
  readonly serverId?: ServerRef
  readonly reason?: MigrationReason
  readonly evacuationId?: string
}

export interface EvacuationFilter extends Paging {
  /** At most 200. */
  readonly ids?: readonly string[]
  readonly status?: readonly EvacuationStatus[]
  /** True: those that are suggested or running. False: the others. */
  readonly open?: boolean
  /** One of the sources, or the only target. */
  readonly serverId?: ServerRef
  readonly reason?: MigrationReason
  readonly incidentId?: string
}

export interface IncidentFilter extends Paging {
  /** At most 200. */
  readonly ids?: readonly string[]
  readonly status?: readonly IncidentStatus[]
  /** True: those that are not closed. False: the others. */
  readonly open?: boolean
  readonly serverId?: ServerRef
}

export interface MigrationPage {
  readonly migrations: readonly Migration[]
  /** How many match in all. */
  readonly total: number
  readonly limit: number
  readonly offset: number
}

export interface EvacuationPage {
  readonly evacuations: readonly Evacuation[]
  /** How many match in all. */
  readonly total: number
  readonly limit: number
  readonly offset: number
}

export interface IncidentPage {
  readonly incidents: readonly Incident[]
  /** How many match in all. */
  readonly total: number
  readonly limit: number
  readonly offset: number
}

/** For a manual migration (seed 004's POST /migrations). One user: `{ serverId, connectionIds: ['u1'] }`. */
export interface MigrationRequest {
  /** The server to leave. */
  readonly serverId: ServerRef
  /** The only server that they may go to. Default: the plan chooses. */
  readonly toServerId?: ServerRef
  /** Only these of its connections, 1–100 000. Default: all. */
  readonly connectionIds?: readonly (string | number)[]
  /** Default `manual`, for a user's own wish `user-request`. */
  readonly reason?: MigrationReason
  /** Free text, at most 2 000 characters, kept on each record of it. */
  readonly notes?: string
  /** True: `scheduled` at once. False: `suggested`, until somebody approves. Whatever the policy's mode. Default false. */
  readonly autoApprove?: boolean
  /** Of a plan that was looked at before: refused as `plan_stale` if it would be another one now. */
  readonly fingerprint?: string
  /** `user`: the user's own wish, for named connections, with the reason `user-request`. Default `admin`. */
  readonly triggeredBy?: 'admin' | 'user'
}

/** Which part is paused: everything, moves off one server, one evacuation, or one migration. */
export type PauseTarget = 'all' | { readonly serverId: ServerRef } | { readonly evacuationId: string } | { readonly migrationId: string }

export interface PauseOptions {
  readonly reason?: string
  /** The pause ends by itself after this many milliseconds. Default: never. */
  readonly forMs?: number
}

/** One page of the journal, as `events()` would tell it. */
export interface EventPage {
  /** In the journal's order, without gaps; empty only at its end. */
  readonly events: readonly PintailEvent[]
  /** The oldest entry still kept; a cursor before the one before it has missed something. */
  readonly oldestSeq: number
  /** The newest entry; a cursor above it belongs to another journal. */
  readonly lastSeq: number
}

/** The engine. Made by `createPintail`; nothing runs before `start()`. */
export interface Pintail {
  /**
   * Begins to lead, probe and act. Resolves at once: it waits for no first round, no `startupDelayMs` and no port.
   * @throws PintailError `already_started`, `stopped`
   */
  start(): Promise<void>
  /**
   * Lets moves under way settle, releases the lease and leaves no timer, socket or listener behind. Never rejects.
   * What does not settle in `timeoutMs` (default 10 000) is left to the next start, which asks where it is.
   */
  stop(options?: { readonly timeoutMs?: number }): Promise<void>
  /** A listener that throws or rejects hurts nobody: it becomes a `warning`. Dispose to unsubscribe. */
  on<T extends EventType | '*'>(type: T, listener: Listener<T>): Disposable
  /** What has happened after the cursor, then what happens, until the signal fires or the engine stops. */
  events(options?: { readonly after?: number; readonly signal?: AbortSignal }): AsyncIterable<PintailEvent>
  /**
   * One page of what has happened after the cursor; without one nothing but where the journal begins and ends. For who
   * serves many readers from one subscription; also an engine on standby answers it.
   * @param query.limit events in the page, 1–1 000. Default 1 000
   */
  replay(query?: { readonly after?: number; readonly limit?: number; readonly signal?: AbortSignal }): Promise<EventPage>
  status(): FleetStatus
  /** The part of `status()` that a health check asks for, often, at a cost that does not grow with the fleet. */
  health(): EngineHealth
  /** The dry run: who would go where, and why. Changes nothing. */
  plan(request: PlanRequest): Promise<Plan>
  /**
   * What could be cheaper or better balanced now. Changes nothing, and answers also while `policy.advice.enabled` is false.
   * Lists the connections of the servers in question. @throws PintailError `unavailable` if the registry does not tell them
   */
  advice(): Promise<Advice>
  /** Carries out exactly this plan. @throws PintailError `plan_stale` naming what has changed since */
  execute(plan: Plan): Promise<Evacuation>
  /** From now on the server is no target. Kept across restarts, as every word of an operator. */
  cordon(server: ServerRef): Promise<void>
  /** @throws PintailError `not_found` for what is neither cordoned nor listed */
  uncordon(server: ServerRef): Promise<void>
  /** Cordons the server and moves everybody off it. With `fingerprint`: only if the plan is still that one. */
  drain(server: ServerRef, options?: { readonly fingerprint?: string }): Promise<Evacuation>
  /**
   * Starts no move in this scope until resumed. What is under way settles; places stay reserved, and it can be cancelled.
   * The pause of an evacuation or a migration is forgotten when that ends.
   * @throws PintailError `not_found` for what does not exist or has ended
   */
  pause(scope?: PauseTarget, options?: PauseOptions): Promise<void>
  /** Takes back the pause of exactly this scope; without one nothing happens. @throws PintailError `not_found` as for `pause` */
  resume(scope?: PauseTarget): Promise<void>
  /**
   * Samples from elsewhere, at most 10 000 at once, for the engine that leads. What cannot be believed is counted in
   * `status().observations` and changes nothing.
   * @throws PintailError `invalid_argument` if it is no such list; `not_leader`
   */
  observe(samples: readonly SampleInput[]): Promise<void>
  readonly migrations: {
    /** By what is kept; open ones have the figures of this moment. @throws PintailError `invalid_argument` */
    list(filter?: MigrationFilter): Promise<MigrationPage>
    get(id: string): Promise<Migration>
    /**
     * A migration by hand. Where the plan needs several targets, several migrations of one evacuation come out: the
     * answer is the first, and its `evacuationId` finds the rest in `list()`. Optional reasons obey all guards and the cooldown,
     * the others target health, capacity, the mass-failure guard, pauses, and one evacuation of a source at a time.
     * @throws PintailError `invalid_argument` listing every problem; `guard_denied`, where an evacuation of that server
     * is under way with its id; `nothing_to_move` with the counts of why; `plan_stale`
     */
    create(request: MigrationRequest): Promise<Migration>
    /**
     * From `suggested`; it then schedules itself.
     * @throws PintailError `illegal_transition` saying what is allowed; `plan_stale` if it is advice that holds no longer: then it has expired
     */
    approve(id: string): Promise<Migration>
    /**
     * Sets when it may start at the earliest, until it has started; approves it too if it is `suggested`. It holds its places until then.
     * @param options.at milliseconds since 1970, from a minute ago to a year ahead. Default now
     * @throws PintailError `illegal_transition` saying what is allowed; `invalid_argument`
     */
    schedule(id: string, options?: { readonly at?: number }): Promise<Migration>
    /** Starts nothing more of it; what is under way settles first. @throws PintailError `illegal_transition` */
    cancel(id: string): Promise<Migration>
    /**
     * A `failed` or `cancelled` migration once more, when its evacuation has ended: a new record with `retryOf`, running, for those
     * who are still on the source. The same guards as for `create`, without the cooldown.
     * @throws PintailError `illegal_transition` saying what is allowed; `nothing_to_move`; `guard_denied`
     */
    retry(id: string): Promise<Migration>
    /** Terminal records only. */
    delete(id: string): Promise<void>
    /** Seed 004's figures over all records that are kept. */
    stats(): Promise<MigrationStats>
  }
  readonly evacuations: {
    /** All that are kept, newest first: of many rather a `page`. */
    list(): Promise<readonly Evacuation[]>
    /** By what is kept; open ones have the figures of this moment. @throws PintailError `invalid_argument` */
    page(filter?: EvacuationFilter): Promise<EvacuationPage>
    get(id: string): Promise<Evacuation>
    /** Approves all of it that is still suggested. @throws PintailError `illegal_transition` if nothing of it is; `plan_stale` as above */
    approve(id: string): Promise<Evacuation>
    cancel(id: string): Promise<Evacuation>
    /** Stop everything: cancels all that are suggested or running. @returns those that it stopped */
    cancelAll(): Promise<readonly Evacuation[]>
  }
  readonly incidents: {
    /** All that are kept, newest first: of many rather a `page`. */
    list(): Promise<readonly Incident[]>
    /** @throws PintailError `invalid_argument` */
    page(filter?: IncidentFilter): Promise<IncidentPage>
    get(id: string): Promise<Incident>
    /** A long-dead server that is known about: it leaves the counts of the mass-failure guard. */
    acknowledge(id: string): Promise<Incident>
    /** Leave to act on this incident against the mass-failure guard, for at most `forMs` (default 15 minutes). */
    overrideGuard(id: string, options?: { readonly forMs?: number }): Promise<Incident>
  }
  /** Why: the whole record of one decision. */
  decision(id: string): Promise<DecisionRecord>
  readonly policy: {
    get(): PolicyView
    /** Stores a patch over the code's policy. @throws PintailError `policy_stale` if `ifVersion` is not the newest */
    update(patch: PolicyInput, options: { readonly ifVersion: number }): Promise<PolicyView>
    /** Takes the stored patch back. @throws PintailError `policy_stale` if `ifVersion` is given and not the newest */
    reset(options?: { readonly ifVersion?: number }): Promise<PolicyView>
  }
}
