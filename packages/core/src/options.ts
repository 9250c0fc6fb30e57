import { z } from 'zod'
import type { Problem } from './errors.ts'
import { PintailError } from './errors.ts'
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
import { parseHost, shorten } from './rows.ts'
import type { Mode, Policy, PolicyInput, PolicySource } from './vocabulary.ts'

/** What `createPintail` takes: ports are code, policy is plain JSON. `registry` and `mover` are needed, the rest has defaults. */
export interface PintailOptions {
  readonly registry: ServerRegistry
  readonly mover: ConnectionMover
  readonly policy?: PolicyInput
  /** Default: `icmp()`. Several: a check passes when all of them pass. */
  readonly probers?: readonly Prober[]
  /** Where this engine probes from. Default `{ name: 'local' }`. */
  readonly vantage?: { readonly name: string; readonly region?: string }
  /** Where the audit trail goes. Default: nowhere but the journal. */
  readonly log?: LogSink
  /** pino's shape. Default: silent. */
  readonly logger?: Logger
  /** Default: `memoryStore()`, which forgets with the process. */
  readonly store?: MigrationStore
  /** Default: `memoryLeases()`: this engine leads. */
  readonly leases?: LeaseStore
  readonly observations?: ObservationSource
  readonly guards?: readonly GuardSource[]
  readonly notifier?: ClientNotifier
  readonly metrics?: Metrics
  readonly clock?: Clock
  readonly random?: Random
}

// ------------------------------------------------------------------------------------------------------------- schema

const whole = (low: number, high: number) => z.int().min(low).max(high)
const share = (low: number, high: number) => z.number().min(low).max(high)
const mode = z.enum(['observe', 'suggest', 'auto'])
const day = 86_400_000
const hour = 3_600_000
const host = z.string().superRefine((value, context) => {
  try {
    parseHost(value)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})
const weight = share(0, 100)

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
        checkIntervalMs: whole(50, day),
        migrationThreshold: whole(1, 100),
        recoveryThreshold: whole(1, 100),
        pingCount: whole(1, 100),
        pingTimeoutMs: whole(20, 60_000),
        packetLossThresholdPercent: share(0, 100),
        latencyThresholdMs: share(1, 60_000),
        jitter: share(0, 0.5),
        confirm: z
          .strictObject({ intervalMs: whole(20, 60_000), durationMs: whole(0, hour), timeoutMs: whole(20, 60_000) })
          .partial()
          .nullable(),
        canaries: z.array(z.strictObject({ host, port: whole(1, 65_535).optional() })).max(16),
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
        adoptInactive: z.boolean(),
      })
      .partial(),
    advice: z.strictObject({ enabled: z.boolean() }).partial(),
  })
  .partial()

/** A port: an object, or an instance of a class, with the methods that it cannot do without. */
function port(...methods: readonly string[]) {
  return z
    .custom<object>((value) => typeof value === 'object' && value !== null)
    .superRefine((value, context) => {
      for (const name of methods)
        if (typeof (value as Record<string, unknown> | null)?.[name] !== 'function')
          context.addIssue({ code: 'custom', path: [name], message: 'must be a function' })
    })
}
const callable = z.custom<object>((value) => typeof value === 'function', 'must be a function')

const optionsSchema = z.strictObject({
  registry: port('listServers', 'listConnections'),
  mover: port('move'),
  policy: policySchema.optional(),
  probers: z
    .array(
      port('probe').refine((value) => typeof (value as { name?: unknown }).name === 'string', {
        path: ['name'],
        message: 'must be a string',
      }),
    )
    .min(1)
    .max(16)
    .optional(),
  vantage: z.strictObject({ name: z.string().min(1).max(100), region: z.string().min(1).max(100).optional() }).optional(),
  log: port('write').optional(),
  logger: port('debug', 'info', 'warn', 'error').optional(),
  store: port('commit', 'get', 'list', 'readJournal').optional(),
  leases: port('acquire', 'renew', 'release').optional(),
  observations: port('samples').optional(),
  guards: z.array(port('current')).max(16).optional(),
  notifier: port('deliver').optional(),
  metrics: port('count', 'gauge', 'observe').optional(),
  clock: port('now', 'setTimeout').optional(),
  random: callable.optional(),
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
    inner = inner instanceof z.ZodObject ? inner.shape[key as string] : inner instanceof z.ZodArray ? (inner.element as z.ZodType) : inner
    unwrap()
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
}

function problemsOf(schema: z.ZodType, error: z.ZodError, input: unknown): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    const path = issue.path.map(String)
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => {
        const known = knownKeys(schema, issue.path)
        const near = known.map((name) => [distance(key.toLowerCase(), name.toLowerCase()), name] as const).sort((a, b) => a[0] - b[0])[0]
        const remedy = near && near[0] <= 3 ? `Did you mean ${near[1]}?` : `Known here: ${known.join(', ')}.`
        return { path: [...path, key].join('.'), message: 'is not known', remedy }
      })
    const value = at(input, issue.path)
    // Only plain values are shown: a port may hold a client with a password.
    const shown = typeof value === 'object' && value !== null ? {} : { value: shorten(value) }
    return [{ path: path.join('.'), message: issue.message, ...shown, ...remedyFor(issue) }]
  })
}

function remedyFor(issue: z.core.$ZodIssue): { remedy?: string } {
  if (issue.code === 'too_small') return { remedy: `Give at least ${issue.minimum}.` }
  if (issue.code === 'too_big') return { remedy: `Give at most ${issue.maximum}.` }
  if (issue.code === 'invalid_type')
    return { remedy: `Give ${issue.expected === 'int' ? 'a whole number' : `a value of type ${issue.expected}`}.` }
  if (issue.code === 'invalid_value') return { remedy: `Give one of: ${issue.values.map(String).join(', ')}.` }
  return {}
}

function refuse(what: string, problems: readonly Problem[]): PintailError {
  const lines = problems.map(
    (p) => `  ${p.path || what}: ${p.message}${p.value === undefined ? '' : ` (was ${p.value})`}${p.remedy ? ` ${p.remedy}` : ''}`,
  )
  return new PintailError(
    'invalid_options',
    `${problems.length} problem${problems.length === 1 ? '' : 's'} in the ${what}:\n${lines.join('\n')}`,
    {
      problems,
      remedy: 'Mend each of the listed values; the message names them all.',
    },
  )
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
    checkIntervalMs: 5000,
    migrationThreshold: 3,
    recoveryThreshold: 2,
    pingCount: 1,
    pingTimeoutMs: 3000,
    packetLossThresholdPercent: 50,
    latencyThresholdMs: 300,
    jitter: 0.1,
    confirm,
    canaries: [],
    maxConcurrentProbes: 256,
  },
  guards: { massFailureRatio: 0.3, minServers: 3, recheckMs: 1000, dampingHalfLifeMs: 1_800_000, dampingCeiling: 3 },
  placement: {
    fillLimit: 0.9,
    defaultCapacity: null,
    maxArrivals: null,
    hostHeadroom: 0,
    weights: { headroom: 30, latency: 20, stability: 15, region: 20, failure_domain: 5, cost: 5, preference: 5 },
  },
  migration: {
    concurrency: 100,
    concurrencyPerTarget: 100,
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
  failback: { strategy: 'never', adoptInactive: false },
  advice: { enabled: false },
} satisfies Tree

// Thresholds equal seed 000 in all presets; they differ in pace and in fast confirmation.
const presets: Readonly<Record<string, Tree>> = {
  default: {},
  'seed-budget': { startupDelayMs: 30_000, detect: { checkIntervalMs: 60_000, pingCount: 1, confirm } },
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
    if (isTree(value)) {
      // `confirm` may be null below: a partial layer over it starts from the defaults.
      const ground = isTree(below) ? below : path === 'detect.confirm' ? confirm : {}
      out[key] = lay(ground, value, source, sources, `${path}.`)
    } else {
      out[key] = value
      sources[path] = source
    }
  }
  return out
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
  const problems = [code, patch].flatMap((layer, index) => {
    const parsed = policySchema.safeParse(layer)
    const prefix = index === 0 ? 'policy' : 'patch'
    return parsed.success
      ? []
      : problemsOf(policySchema, parsed.error, layer).map((p) => ({
          ...p,
          path: p.path ? `${prefix}.${p.path}` : prefix,
        }))
  })
  if (problems.length > 0) throw refuse('policy', problems)
  const sources: Record<string, PolicySource> = {}
  const preset = patch.detect?.preset ?? code.detect?.preset ?? 'default'
  const layers = [
    ['default', defaults],
    ['preset', presets[preset] ?? {}],
    ['code', spreadMode(code)],
    ['patch', spreadMode(patch)],
  ] as const satisfies readonly (readonly [PolicySource, Tree])[]
  const policy = layers.reduce<Tree>((base, [source, layer]) => lay(base, layer, source, sources), {}) as unknown as Policy
  return { policy, sources }
}

/**
 * Checks the options as a whole and says everything that is wrong with them at once.
 * @throws PintailError `invalid_options` with one problem for each wrong value
 */
export function parseOptions(input: PintailOptions): ResolvedPolicy {
  const parsed = optionsSchema.safeParse(input)
  if (!parsed.success) throw refuse('options', problemsOf(optionsSchema, parsed.error, input))
  return resolvePolicy(input.policy)
}
