import { z } from 'zod'
import type { Problem } from './errors.ts'
import { errorText, isPintailError, PintailError } from './errors.ts'
import type {
  ClientNotifier,
  Clock,
  ConnectionMover,
  GuardSource,
  LeaseStore,
  Logger,
  LogSink,
  Metrics,
  MigrationStore,
  ObservationSource,
  Prober,
  Random,
  ServerRegistry,
} from './ports.ts'
import { hostProblem, shorten } from './rows.ts'
import type { Json, JsonObject, Mode, Policy, PolicyInput, PolicySource } from './vocabulary.ts'

/** What `createPintail` takes: ports are code, policy is plain JSON. `registry` and `mover` are needed, the rest has defaults. */
export interface PintailOptions {
  readonly registry: ServerRegistry
  readonly mover: ConnectionMover
  readonly policy?: PolicyInput
  /** Default: `icmp()`. Several: a check passes when all of them pass. */
  readonly probers?: readonly Prober[]
  /**
   * Where this engine probes from. With a region it votes for the users of that region alone. Engines over one store that have one name
   * stand in one place, and are one voice: give those in different places different names. Default `{ name: 'local' }`.
   */
  readonly vantage?: { readonly name: string; readonly region?: string }
  /** Where the audit trail goes. Default: nowhere but the journal. */
  readonly log?: LogSink
  /** pino's shape. Default: silent. */
  readonly logger?: Logger
  /** Default: `memoryStore()`, which forgets with the process. */
  readonly store?: MigrationStore
  /** Default: `memoryLeases()`: this engine leads. */
  readonly leases?: LeaseStore
  /** Samples of vantages elsewhere (`policy.detect.vantages`), and passive signals. Default: none. */
  readonly observations?: ObservationSource
  readonly guards?: readonly GuardSource[]
  readonly notifier?: ClientNotifier
  readonly metrics?: Metrics
  /**
   * A secret of 16–1 000 characters. Users whom an evacuation has left behind are named in its record until their moves are
   * pruned (`policy.retention`); then by an HMAC under this key, `hmac:…`, or without a key as `forgotten`.
   */
  readonly pseudonymKey?: string
  readonly clock?: Clock
  readonly random?: Random
}

// ------------------------------------------------------------------------------------------------------------- schema

const whole = (low: number, high: number) => z.int().min(low).max(high)
const share = (low: number, high: number) => z.number().min(low).max(high)
const mode = z.enum(['observe', 'suggest', 'auto'])
const day = 86_400_000
const hour = 3_600_000
const host = z.unknown().superRefine((value, context) => {
  const problem = hostProblem(value)
  if (problem !== null) context.addIssue(problem)
})
/** A region is compared letter by letter with that of connections; `*` stands for all that have no vantage. */
const region = z.string().min(1).max(100).regex(/^[^*]/, 'must not begin with *')
const vantage = z.strictObject({ region: region.optional() })
const weight = share(0, 100)
const rate = z.strictObject({ perSecond: share(0.001, 10_000), burst: whole(1, 10_000) }).nullable()

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day from 00:00 to 23:59')

const detector = z.enum(['thresholds', 'cusum'])
const thresholds = {
  checkIntervalMs: whole(50, day),
  migrationThreshold: whole(1, 100),
  recoveryThreshold: whole(1, 100),
  pingCount: whole(1, 100),
  pingTimeoutMs: whole(20, 60_000),
  packetLossThresholdPercent: share(0, 100),
  latencyThresholdMs: share(1, 60_000),
}
const text = z.string().min(1).max(200)

const policySchema = z
  .strictObject({
    mode: z.union([
      mode,
      z
        .strictObject({
          default: mode,
          'server-down': mode,
          degraded: mode,
          'cost-optimization': mode,
          manual: mode,
          rebalancing: mode,
          maintenance: mode,
          failback: mode,
          'user-request': mode,
        })
        .partial(),
    ]),
    startupDelayMs: whole(0, hour),
    registryRefreshMs: whole(50, day),
    detect: z
      .strictObject({
        preset: z.enum(['default', 'seed-budget', 'seed']),
        ...thresholds,
        detector,
        cusum: z
          .strictObject({
            goodLossPercent: share(0.1, 20),
            badLossPercent: share(21, 99),
            intervalMs: whole(100, 60_000),
            falseAlarmsPerYear: share(0.000001, 100),
            slowFactor: share(1.1, 100),
          })
          .partial(),
        timeoutFloorMs: whole(20, 60_000),
        deadIntervalMs: whole(50, day),
        falseEvacuationsPerMonth: share(0.001, 10_000).nullable(),
        overrides: z
          .array(z.strictObject({ servers: z.array(text).max(200), probers: z.array(text).max(16), detector, ...thresholds }).partial())
          .max(50),
        jitter: share(0, 0.5),
        confirm: z
          .strictObject({ intervalMs: whole(20, 60_000), durationMs: whole(0, hour), timeoutMs: whole(20, 60_000) })
          .partial()
          .nullable(),
        canaries: z.array(z.strictObject({ host, port: whole(1, 65_535).optional() })).max(16),
        vantages: z
          .record(
            z.string().regex(/^[a-z0-9][\w.-]{0,99}$/i, 'must begin with a letter or digit, and have these, ., _ and - only'),
            vantage,
          )
          .refine((all) => Object.keys(all).length <= 64, 'must have at most 64 vantages'),
        minAudienceVantages: whole(1, 64),
        maxConcurrentProbes: whole(1, 10_000),
      })
      .partial(),
    guards: z
      .strictObject({
        massFailureRatio: share(0, 1),
        minServers: whole(1, 1000),
        recheckMs: whole(50, hour),
        dampingHalfLifeMs: whole(1000, 30 * day),
        dampingCeiling: share(1, 100),
      })
      .partial(),
    placement: z
      .strictObject({
        fillLimit: share(0.01, 1),
        defaultCapacity: whole(0, 10_000_000).nullable(),
        maxArrivals: whole(1, 10_000_000).nullable(),
        hostHeadroom: whole(0, 1_000_000),
        regionCoordinates: z
          .record(region, z.strictObject({ latitude: share(-90, 90), longitude: share(-180, 180) }))
          .refine((all) => Object.keys(all).length <= 1000, 'must have at most 1000 regions'),
        minGain: share(0, 1),
        resourceLimits: z.strictObject({ cpuPercent: share(0, 100), memoryPercent: share(0, 100), diskPercent: share(0, 100) }).partial(),
        weights: z
          .strictObject({
            headroom: weight,
            latency: weight,
            stability: weight,
            region: weight,
            failure_domain: weight,
            cost: weight,
            preference: weight,
          })
          .partial(),
      })
      .partial(),
    migration: z
      .strictObject({
        concurrency: whole(1, 10_000),
        concurrencyPerTarget: whole(1, 10_000),
        rates: z.strictObject({ overall: rate, perTarget: rate, perSource: rate }).partial(),
        timeoutMs: whole(10, hour),
        moveTries: whole(1, 20),
        maxRetries: whole(0, 20),
        backoffMs: whole(1, hour),
        backoffMaxMs: whole(1, hour),
        targetsPerConnection: whole(1, 100),
        cooldownMs: whole(0, 30 * day),
        revokeGraceMs: whole(0, 30 * day),
        retryUnplacedMs: whole(50, day),
      })
      .partial(),
    failback: z
      .strictObject({
        strategy: z.enum(['never', 'gradual', 'immediate', 'best-score']),
        stableMs: whole(0, 7 * day),
        batchPercent: share(1, 100),
        batchIntervalMs: whole(0, 7 * day),
        minGain: share(0, 1),
        adoptInactive: z.boolean(),
      })
      .partial(),
    advice: z
      .strictObject({
        enabled: z.boolean(),
        intervalMs: whole(1000, day),
        minSavingsEurHour: share(0, 10_000),
        reserve: share(0, 1),
        margin: share(0, 1),
        rounds: whole(1, 100),
        afterScalingMs: whole(0, 30 * day),
        declinedMs: whole(0, 365 * day),
        windows: z.array(z.strictObject({ from: timeOfDay, to: timeOfDay })).max(24),
      })
      .partial(),
    retention: z
      .strictObject({
        pruneIntervalMs: whole(60_000, day),
        movesMs: whole(day, 3650 * day),
        journalMs: whole(day, 3650 * day).nullable(),
      })
      .partial(),
  })
  .partial()

interface Shape {
  /** Methods that it cannot do without, and those that it may have. */
  readonly needs: readonly string[]
  readonly may?: readonly string[]
  readonly words?: Readonly<Record<string, readonly string[]>>
  readonly name?: true
}

/** A port: an object, or an instance of a class. It is looked at, never copied. */
function port({ needs, may = [], words = {}, name }: Shape) {
  return z.unknown().superRefine((value, context) => {
    if (typeof value !== 'object' || value === null) return context.addIssue(value === undefined ? 'is needed' : 'must be an object')
    const has = (key: string): unknown => Reflect.get(value, key)
    const problem = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
    for (const key of needs) if (typeof has(key) !== 'function') problem(key, 'must be a function')
    for (const key of may)
      if ((has(key) ?? null) !== null && typeof has(key) !== 'function') problem(key, 'must be a function, or not there')
    for (const [key, known] of Object.entries(words))
      if (has(key) !== undefined && !known.includes(has(key) as string)) problem(key, `must be one of ${known.join(', ')}, or not there`)
    if (name && (typeof has('name') !== 'string' || has('name') === '')) problem('name', 'must be a string that is not empty')
  })
}

const optionsSchema = z.strictObject({
  registry: port({
    needs: ['listServers', 'listConnections'],
    may: ['setServerStatus', 'watch'],
    words: { coverage: ['assigned', 'active'] },
  }),
  mover: port({
    needs: ['move'],
    may: ['moveMany', 'prepare', 'complete', 'locate', 'verify', 'rollback'],
    words: {
      granularity: ['connection', 'server'],
      confirmation: ['accepted', 'applied', 'seen'],
      fencing: ['enforced', 'none'],
    },
  }),
  policy: policySchema.optional(),
  probers: z
    .array(port({ needs: ['probe'], may: ['probeMany'], name: true }))
    .min(1)
    .max(16)
    .optional(),
  vantage: vantage.extend({ name: z.string().min(1).max(100) }).optional(),
  log: port({ needs: ['write'] }).optional(),
  logger: port({ needs: ['debug', 'info', 'warn', 'error'] }).optional(),
  store: port({ needs: ['commit', 'get', 'list', 'readJournal'], name: true }).optional(),
  leases: port({ needs: ['acquire', 'renew', 'release'] }).optional(),
  observations: port({ needs: ['samples'] }).optional(),
  guards: z
    .array(port({ needs: ['current'] }))
    .max(16)
    .optional(),
  notifier: port({ needs: ['deliver'] }).optional(),
  metrics: port({ needs: ['count', 'gauge', 'observe'], may: ['collecting', 'forget'] }).optional(),
  pseudonymKey: z.string().min(16).max(1000).optional(),
  clock: port({ needs: ['now', 'setTimeout'], may: ['defer'] }).optional(),
  random: z.custom<object>((value) => typeof value === 'function', 'must be a function').optional(),
})

// --------------------------------------------------------------------------------------------------- problems, in words

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length] ?? 0
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[key], value)
}

/** The names that an object at this path may have, read off the schema, for "did you mean". */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let inner: z.ZodType = schema
  const unwrap = (): void => {
    while (inner instanceof z.ZodOptional || inner instanceof z.ZodNullable) inner = inner.unwrap() as z.ZodType
    if (inner instanceof z.ZodUnion) inner = inner.options.find((option) => option instanceof z.ZodObject) as z.ZodType
  }
  unwrap()
  for (const key of path) {
    if (inner instanceof z.ZodObject) inner = inner.shape[key as string]
    else if (inner instanceof z.ZodArray) inner = inner.element as z.ZodType
    else if (inner instanceof z.ZodRecord) inner = inner.valueType as z.ZodType
    unwrap()
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
}

/** What was read, and what is wrong. Values of ports are never shown: one may be a URL with a password where an object was due. */
function check(
  schema: z.ZodType,
  input: unknown,
  isSecret: (path: readonly PropertyKey[]) => boolean = () => false,
): { readonly data: unknown; readonly problems: readonly Problem[] } {
  const { data, error } = schema.safeParse(input)
  const issues = error?.issues.flatMap((outer) => inner(outer, input)) ?? []
  const problems = issues.flatMap((issue): Problem[] => {
    const path = issue.path.map(String)
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => {
        const named = /^[\w-]{1,60}$/.test(key) ? key : shorten(key)
        return { path: [...path, named].join('.'), message: 'is not known', remedy: nearest(key, knownKeys(schema, issue.path)) }
      })
    // zod says of a number beyond 2^53 twice that it is too large.
    if (issue.code === 'too_big' && issue.origin === 'int') return []
    const value = at(input, issue.path)
    const isShown = (typeof value !== 'object' || value === null) && !isSecret(issue.path)
    return [{ path: path.join('.'), message: issue.message, ...(isShown && { value: shorten(value) }), ...remedyFor(issue) }]
  })
  return { data, problems }
}

/** Of the two forms that `mode` may have, the one that was meant. */
function inner(issue: z.core.$ZodIssue, input: unknown): readonly z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue]
  const meant = issue.errors[typeof at(input, issue.path) === 'object' ? 1 : 0] ?? []
  return meant.map((within) => ({ ...within, path: [...issue.path, ...within.path] }))
}

function nearest(key: string, known: readonly string[]): string {
  const [best] =
    key.length > 60
      ? []
      : known.map((name) => ({ name, far: distance(key.toLowerCase(), name.toLowerCase()) })).sort((a, b) => a.far - b.far)
  return best && best.far <= Math.min(3, Math.ceil(key.length / 2)) ? `Did you mean ${best.name}?` : `Known here: ${known.join(', ')}.`
}

function remedyFor(issue: z.core.$ZodIssue): { remedy?: string } {
  const isMs = String(issue.path.at(-1)).endsWith('Ms')
  if (issue.code === 'too_small') return { remedy: `Give at least ${issue.minimum}.` }
  if (issue.code === 'too_big') return { remedy: `Give at most ${issue.maximum}.` }
  if (issue.code === 'invalid_type' && (issue.expected === 'int' || issue.expected === 'number'))
    return { remedy: `Give a ${issue.expected === 'int' ? 'whole ' : ''}number${isMs ? ' of milliseconds' : ''}.` }
  if (issue.code === 'invalid_type') return { remedy: `Give a value of type ${issue.expected}.` }
  if (issue.code === 'invalid_value') return { remedy: `Give one of: ${issue.values.map(String).join(', ')}.` }
  return {}
}

/** A class instance, a Map or a Proxy of one would be read as an empty policy, and nobody would notice. */
function notPlain(value: unknown, path: string): Problem[] {
  if (typeof value !== 'object' || value === null) return []
  const above = Array.isArray(value) ? null : Object.getPrototypeOf(value)
  if (above !== null && Object.getPrototypeOf(above) !== null)
    return [{ path, message: 'must be plain JSON', remedy: 'Give an object literal, or what JSON.parse() gives.' }]
  // Deeper than a policy is there is nothing to look at, and a circle has no end.
  if (path.split('.').length > 5) return []
  return Object.entries(value).flatMap(([key, item]) => notPlain(item, `${path}.${key}`))
}

function refuse(what: string, problems: readonly Problem[], cause?: unknown): PintailError {
  const lines = problems.map(
    (p) => `  ${p.path || what}: ${p.message}${p.value === undefined ? '' : ` (was ${p.value})`}${p.remedy ? ` ${p.remedy}` : ''}`,
  )
  const more = lines.length > mostShown ? `\n  and ${lines.length - mostShown} more` : ''
  const title = `${problems.length} problem${problems.length === 1 ? '' : 's'} in the ${what}:`
  return new PintailError('invalid_options', `${title}\n${lines.slice(0, mostShown).join('\n')}${more}`, {
    problems,
    remedy: 'Mend each of the listed values; `problems` names them all.',
    cause,
  })
}

const mostShown = 100

/** Options may be anything, also an object whose getters throw. */
function read<T>(what: string, check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (isPintailError(error, 'invalid_options')) throw error
    throw refuse(what, [{ path: '', message: `could not be read: ${errorText(error)}` }], error)
  }
}

// ------------------------------------------------------------------------------------------------------------- layers

const reasons = [
  'server-down',
  'degraded',
  'cost-optimization',
  'manual',
  'rebalancing',
  'maintenance',
  'failback',
  'user-request',
] as const

type Tree = { readonly [key: string]: unknown }
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)

const confirm = { intervalMs: 200, durationMs: 7000, timeoutMs: 1000 }
const defaults = {
  mode: Object.fromEntries(reasons.map((reason) => [reason, 'observe'])),
  startupDelayMs: 0,
  registryRefreshMs: 15_000,
  detect: {
    preset: 'default',
    detector: 'thresholds',
    cusum: { goodLossPercent: 5, badLossPercent: 30, intervalMs: 2000, falseAlarmsPerYear: 0.005, slowFactor: 2 },
    checkIntervalMs: 5000,
    migrationThreshold: 3,
    recoveryThreshold: 2,
    pingCount: 1,
    pingTimeoutMs: 3000,
    timeoutFloorMs: 200,
    packetLossThresholdPercent: 50,
    latencyThresholdMs: 300,
    jitter: 0.1,
    deadIntervalMs: 60_000,
    confirm,
    falseEvacuationsPerMonth: 1,
    overrides: [],
    canaries: [],
    vantages: {},
    minAudienceVantages: 2,
    maxConcurrentProbes: 256,
  },
  guards: { massFailureRatio: 0.3, minServers: 3, recheckMs: 1000, dampingHalfLifeMs: 1_800_000, dampingCeiling: 3 },
  placement: {
    fillLimit: 0.9,
    defaultCapacity: null,
    maxArrivals: null,
    hostHeadroom: 0,
    regionCoordinates: {},
    minGain: 0.05,
    resourceLimits: { cpuPercent: 90, memoryPercent: 90, diskPercent: 95 },
    weights: { headroom: 30, latency: 20, stability: 15, region: 20, failure_domain: 5, cost: 5, preference: 5 },
  },
  migration: {
    concurrency: 100,
    concurrencyPerTarget: 100,
    rates: { overall: null, perTarget: null, perSource: null },
    timeoutMs: 20_000,
    moveTries: 3,
    maxRetries: 3,
    backoffMs: 1000,
    backoffMaxMs: 60_000,
    targetsPerConnection: 3,
    cooldownMs: 1_800_000,
    revokeGraceMs: day,
    retryUnplacedMs: 30_000,
  },
  failback: {
    strategy: 'never',
    stableMs: 900_000,
    batchPercent: 10,
    batchIntervalMs: 600_000,
    minGain: 0.05,
    adoptInactive: false,
  },
  advice: {
    enabled: false,
    intervalMs: 300_000,
    minSavingsEurHour: 0.1,
    reserve: 0.3,
    margin: 0.1,
    rounds: 3,
    afterScalingMs: 7_200_000,
    declinedMs: day,
    windows: [],
  },
  retention: { pruneIntervalMs: 3_600_000, movesMs: day, journalMs: 30 * day },
} satisfies Tree

// Thresholds equal seed 000 in all presets; they differ in pace and in fast confirmation.
const presets: Readonly<Record<string, Tree>> = {
  default: {},
  'seed-budget': { startupDelayMs: 30_000, detect: { checkIntervalMs: 60_000, pingCount: 1, jitter: 0.03, confirm } },
  seed: { startupDelayMs: 30_000, detect: { checkIntervalMs: 300_000, pingCount: 5, confirm: null } },
}

/** One word for all reasons becomes one a reason; `default` goes first. */
function spreadMode(input: PolicyInput): Tree {
  const { mode: given, ...rest } = input as { mode?: Mode | Record<string, Mode> }
  if (given === undefined) return rest
  const { default: base, ...own }: Record<string, Mode> = typeof given === 'string' ? { default: given } : given
  return { ...rest, mode: { ...(base && Object.fromEntries(reasons.map((reason) => [reason, base]))), ...own } }
}

function lay(base: Tree, layer: Tree, source: PolicySource, sources: Record<string, PolicySource>, prefix = ''): Tree {
  const out: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(layer)) {
    if (value === undefined) continue
    const path = `${prefix}${key}`
    const below = out[key]
    // A value takes the place of a whole group (`confirm: null`), and a group that of a value: their sources go too.
    if (isTree(value) !== isTree(below)) for (const old of Object.keys(sources)) if (`${old}.`.startsWith(`${path}.`)) delete sources[old]
    if (isTree(value)) {
      // `confirm` may be null below: a partial layer over it starts from the defaults.
      const ground = isTree(below) ? below : path === 'detect.confirm' ? lay({}, confirm, 'default', sources, `${path}.`) : {}
      out[key] = lay(ground, value, source, sources, `${path}.`)
    } else {
      out[key] = value
      sources[path] = source
    }
  }
  return out
}

/** What was given out stays as it is, also in the hands of a host. */
function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const item of Object.values(Object.freeze(value))) freeze(item)
  return value
}

export interface ResolvedPolicy {
  readonly policy: Policy
  readonly sources: Readonly<Record<string, PolicySource>>
}

/**
 * Defaults ← preset ← code ← stored patch, with the source of each value.
 * @throws PintailError `invalid_options` naming every problem of both layers
 */
export function resolvePolicy(code: PolicyInput = {}, patch: PolicyInput = {}): ResolvedPolicy {
  const [own, stored] = read('policy', () => {
    const given = { policy: code, patch }
    const checked = Object.entries(given).map(([name, layer]) => {
      const { data, problems } = check(policySchema, layer)
      return { data, problems: [...notPlain(layer, name), ...problems.map((p) => ({ ...p, path: p.path ? `${name}.${p.path}` : name }))] }
    })
    const problems = checked.flatMap((one) => one.problems)
    if (problems.length > 0) throw refuse('policy', problems)
    // What was read is a copy, so that nothing changes when the host's own object does.
    return checked.map(({ data }) => data) as [PolicyInput, PolicyInput]
  })
  const sources: Record<string, PolicySource> = {}
  const preset = stored.detect?.preset ?? own.detect?.preset ?? 'default'
  const layers = [
    ['default', defaults],
    ['preset', presets[preset] ?? {}],
    ['code', spreadMode(own)],
    ['patch', spreadMode(stored)],
  ] as const satisfies readonly (readonly [PolicySource, Tree])[]
  const policy = layers.reduce<Tree>((base, [source, layer]) => lay(base, layer, source, sources), {}) as unknown as Policy
  // Who names a duration means that one: it is not lengthened unless they ask for it too.
  const isOwn = (path: string) => sources[path] === 'code' || sources[path] === 'patch'
  const isFixed = isOwn('detect.confirm.durationMs') && !isOwn('detect.falseEvacuationsPerMonth')
  const detect = isFixed ? { ...policy.detect, falseEvacuationsPerMonth: null } : policy.detect
  return freeze({ policy: { ...policy, detect }, sources })
}

/**
 * Checks the options as a whole and says everything that is wrong with them at once.
 * @throws PintailError `invalid_options` with one problem for each wrong value
 */
export function parseOptions(input: PintailOptions): ResolvedPolicy {
  return read('options', () => {
    const { problems } = check(optionsSchema, input, ([first]) => first !== 'policy')
    const all = [...problems, ...notPlain(input?.policy, 'policy')]
    if (all.length > 0) throw refuse('options', all)
    return resolvePolicy(input.policy)
  })
}

/** The JSON Schema of a policy as code, file or patch may say it, without the rules that no schema can say. */
export function policyJsonSchema(target: 'draft-7' | 'draft-2020-12' | 'openapi-3.0' = 'draft-7'): JsonObject {
  return z.toJSONSchema(policySchema, { target, io: 'input', unrepresentable: 'any' }) as unknown as JsonObject
}

/** Where null is a value of its own and takes nothing back. */
const nullable =
  /^(retention\.journalMs|detect\.(confirm|falseEvacuationsPerMonth)|placement\.(defaultCapacity|maxArrivals)|migration\.rates\.\w+)$/

/** A newer patch over an older one: one word for all modes replaces those said before, one for a reason joins them. */
export function mergePatch(base: JsonObject, patch: PolicyInput): JsonObject {
  const words = (mode: unknown): Json => (typeof mode === 'string' ? { default: mode } : (mode as Json))
  const { mode, ...rest } = patch as { readonly mode?: Json } & JsonObject
  const { mode: before, ...older } = base
  const kept = before === undefined || typeof mode === 'string' ? {} : { mode: words(before) }
  return mergeJson({ ...older, ...kept }, { ...rest, ...(mode !== undefined && { mode: words(mode) }) })
}

/** RFC 7396: null takes a value back, except where it is one. */
function mergeJson(base: JsonObject, patch: JsonObject, prefix = ''): JsonObject {
  const out: Record<string, Json> = { ...base }
  for (const [key, value] of Object.entries(patch)) {
    const below = out[key]
    const path = `${prefix}${key}`
    if (value === null && !nullable.test(path)) delete out[key]
    else if (isTree(value)) out[key] = mergeJson(isTree(below) ? below : {}, value, `${path}.`)
    else out[key] = value
  }
  return out
}
