import type {
  WireActiveMigrations,
  WireDecision,
  WireEvacuation,
  WireEvacuationPage,
  WireIncident,
  WireIncidentPage,
  WireMigration,
  WireMigrationPage,
  WirePlan,
  WirePolicy,
  WireServerPage,
  WireStats,
  WireStatus,
} from '@pintail/core/wire'
import type {
  Cordoned,
  EvacuationQuery,
  Health,
  IncidentQuery,
  MigrationBody,
  MigrationQuery,
  MoveBody,
  Paging,
  PauseBody,
  Pauses,
  PlanQuery,
  PolicyPatch,
  ServerQuery,
  Services,
} from './answers.ts'
import { type CallOptions, type ClientOptions, Http, type Request, segment } from './http.ts'
import { type ClientMessage, type EventsOptions, events } from './stream.ts'

type Id = string | number

/** For calls that change something. */
export interface ChangeOptions extends CallOptions {
  /**
   * What the change was decided upon: a record as this client has read it, an ETag, or `*` for whatever there is. Where a record is
   * given in the place of an id it is that record. The server refuses it as `precondition_failed` if it has changed since.
   */
  readonly ifMatch?: string | object
  /** Default: one of its own for each call. */
  readonly idempotencyKey?: string
}

/** A record as it was read, or its id. */
export type Target<T extends { readonly id: string }> = T | string

/** Pintail's HTTP API. Every call rejects with `ApiError`, or with the reason of its signal. */
export interface PintailClient {
  /** The whole picture; its `last_seq` is the cursor for `events({ after })`. */
  snapshot(options?: CallOptions): Promise<WireStatus>
  /** What happens, without gap or double over any break; without `after` the picture comes first. */
  events(options?: EventsOptions): AsyncGenerator<ClientMessage, void, undefined>
  readonly servers: {
    list(query?: ServerQuery, options?: CallOptions): Promise<WireServerPage>
    cordon(id: Id, options?: ChangeOptions): Promise<Cordoned>
    uncordon(id: Id, options?: ChangeOptions): Promise<Cordoned>
    drain(id: Id, body?: { readonly fingerprint?: string }, options?: ChangeOptions): Promise<WireEvacuation>
    migrations(id: Id, query?: Omit<MigrationQuery, 'server_id'>, options?: CallOptions): Promise<WireMigrationPage>
    activeMigrations(id: Id, options?: CallOptions): Promise<WireActiveMigrations>
  }
  readonly connections: { move(id: Id, body: MoveBody, options?: ChangeOptions): Promise<WireMigration> }
  readonly migrations: {
    list(query?: MigrationQuery, options?: CallOptions): Promise<WireMigrationPage>
    get(id: string, options?: CallOptions): Promise<WireMigration>
    create(body: MigrationBody, options?: ChangeOptions): Promise<WireMigration>
    approve(target: Target<WireMigration>, options?: ChangeOptions): Promise<WireMigration>
    /** @param body.at ISO 8601. Default now */
    schedule(target: Target<WireMigration>, body?: { readonly at?: string }, options?: ChangeOptions): Promise<WireMigration>
    cancel(target: Target<WireMigration>, options?: ChangeOptions): Promise<WireMigration>
    retry(target: Target<WireMigration>, options?: ChangeOptions): Promise<WireMigration>
    delete(target: Target<WireMigration>, options?: ChangeOptions): Promise<void>
  }
  readonly evacuations: {
    list(query?: EvacuationQuery, options?: CallOptions): Promise<WireEvacuationPage>
    get(id: string, options?: CallOptions): Promise<WireEvacuation>
    approve(target: Target<WireEvacuation>, options?: ChangeOptions): Promise<WireEvacuation>
    cancel(target: Target<WireEvacuation>, options?: ChangeOptions): Promise<WireEvacuation>
  }
  readonly incidents: {
    list(query?: IncidentQuery, options?: CallOptions): Promise<WireIncidentPage>
    acknowledge(id: string, options?: ChangeOptions): Promise<WireIncident>
    /** @param body.for_ms milliseconds, at most a day. Default 15 minutes */
    overrideGuard(id: string, body?: { readonly for_ms?: number }, options?: ChangeOptions): Promise<WireIncident>
  }
  /** The dry run. Changes nothing. */
  plan(query: PlanQuery, options?: CallOptions): Promise<WirePlan>
  decision(id: string, options?: CallOptions): Promise<WireDecision>
  stats(options?: CallOptions): Promise<WireStats>
  pause(body?: PauseBody, options?: ChangeOptions): Promise<Pauses>
  resume(body?: Pick<PauseBody, 'scope'>, options?: ChangeOptions): Promise<Pauses>
  readonly policy: {
    get(options?: CallOptions): Promise<WirePolicy>
    update(patch: PolicyPatch, options: ChangeOptions & { readonly ifMatch: string | WirePolicy }): Promise<WirePolicy>
    reset(options: ChangeOptions & { readonly ifMatch: string | WirePolicy }): Promise<WirePolicy>
  }
  /** Also while it is failing. */
  health(options?: CallOptions): Promise<Health>
  services(options?: CallOptions): Promise<Services>
  /** The ETag that came with a record; undefined: it came in a list, or by another client. */
  etagOf(record: object): string | undefined
}

/** @throws ApiError `invalid_argument` */
export function createClient(options: ClientOptions): PintailClient {
  const http = new Http(options)
  const etags = new WeakMap<object, string>()

  async function call<T>(request: Request): Promise<T> {
    const { value, etag } = await http.call(request)
    if (etag !== null && typeof value === 'object' && value !== null) etags.set(value, etag)
    return value as T
  }
  const get = <T>(path: string, { signal }: CallOptions = {}, query?: object): Promise<T> => call({ path, query, signal })
  const change = <T>(
    method: 'POST' | 'PATCH' | 'DELETE',
    path: string,
    { signal, ifMatch, idempotencyKey }: ChangeOptions = {},
    body?: object,
  ): Promise<T> => call({ method, path, body, signal, idempotencyKey, ifMatch: typeof ifMatch === 'object' ? etags.get(ifMatch) : ifMatch })
  const post = <T>(path: string, changes?: ChangeOptions, body?: object): Promise<T> => change('POST', path, changes, body)

  /** A call on one record; given the record itself, upon what it was when it was read. */
  const of =
    (list: string) =>
    (target: Target<{ readonly id: string }>, changes: ChangeOptions = {}): [path: string, changes: ChangeOptions] =>
      typeof target === 'string'
        ? [`${list}/${segment(target)}`, changes]
        : [`${list}/${segment(target.id)}`, { ifMatch: target, ...changes }]
  const migration = of('migrations')
  const evacuation = of('evacuations')
  const act = <T>([path, changes]: [string, ChangeOptions], verb: string, body?: object): Promise<T> =>
    post(`${path}/${verb}`, changes, body)
  const server = (id: Id): string => `servers/${segment(id)}`
  const incident = (id: string): string => `incidents/${segment(id)}`

  return {
    snapshot: (on) => get('status', on),
    events: (on) => events(http, on),
    servers: {
      list: (query, on) => get('servers', on, query),
      cordon: (id, on) => post(`${server(id)}/cordon`, on),
      uncordon: (id, on) => post(`${server(id)}/uncordon`, on),
      drain: (id, body, on) => post(`${server(id)}/drain`, on, body),
      migrations: (id, query: Paging | undefined, on) => get(`${server(id)}/migrations`, on, query),
      activeMigrations: (id, on) => get(`${server(id)}/migrations/active`, on),
    },
    connections: { move: (id, body, on) => post(`connections/${segment(id)}/move`, on, body) },
    migrations: {
      list: (query, on) => get('migrations', on, query),
      get: (id, on) => get(`migrations/${segment(id)}`, on),
      create: (body, on) => post('migrations', on, body),
      approve: (target, on) => act(migration(target, on), 'approve'),
      schedule: (target, body, on) => act(migration(target, on), 'schedule', body),
      cancel: (target, on) => act(migration(target, on), 'cancel'),
      retry: (target, on) => act(migration(target, on), 'retry'),
      delete: (target, on) => change('DELETE', ...migration(target, on)),
    },
    evacuations: {
      list: (query, on) => get('evacuations', on, query),
      get: (id, on) => get(`evacuations/${segment(id)}`, on),
      approve: (target, on) => act(evacuation(target, on), 'approve'),
      cancel: (target, on) => act(evacuation(target, on), 'cancel'),
    },
    incidents: {
      list: (query, on) => get('incidents', on, query),
      acknowledge: (id, on) => post(`${incident(id)}/acknowledge`, on),
      overrideGuard: (id, body, on) => post(`${incident(id)}/override-guard`, on, body),
    },
    plan: (query, on) => get('plan', on, query),
    decision: (id, on) => get(`decisions/${segment(id)}`, on),
    stats: (on) => get('stats', on),
    pause: (body, on) => post('pause', on, body),
    resume: (body, on) => post('resume', on, body),
    policy: {
      get: (on) => get('policy', on),
      update: (patch, on) => change('PATCH', 'policy', on, patch),
      reset: (on) => change('DELETE', 'policy', on),
    },
    health: ({ signal } = {}) => call({ path: 'health', signal, also: [503] }),
    services: (on) => get('health/services', on),
    etagOf: (record) => etags.get(record),
  }
}
