import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createPintail } from './create.ts'
import { isPintailError, type PintailError } from './errors.ts'
import { type PintailOptions, parseOptions, resolvePolicy } from './options.ts'
import type { MigrationReason, Mode, Policy, PolicyInput } from './vocabulary.ts'

const seed = 20260302

const registry = { listServers: async () => [], listConnections: async () => [] }
const mover = { move: async () => {} }
const fine: PintailOptions = { registry, mover }

/** The refusal of these options, or of this policy. */
function refused(call: () => unknown): PintailError {
  try {
    call()
  } catch (error) {
    if (isPintailError(error, 'invalid_options')) return error
    throw error
  }
  throw new Error('nothing was refused')
}
const wrong = (options: unknown) => refused(() => parseOptions(options as PintailOptions))
const wrongPolicy = (policy: unknown) => refused(() => resolvePolicy(policy as PolicyInput))

// ------------------------------------------------------------------------------------------------------------- problems

test('registry and mover are enough', () => {
  expect(parseOptions(fine).policy).toEqual(resolvePolicy().policy)
})

test('everything that is wrong is told at once, each with its path, its value and what to do', () => {
  const error = wrong({
    registery: registry,
    mover: { move: 'yes' },
    policy: {
      mode: 'atuo',
      startupDelayMs: '30s',
      detect: { checkIntervalMs: 10, pingCount: 2.5, packetLossThresholdPercent: Number.NaN, checkInterval: 5 },
      guards: { massFailureRatio: 1.5 },
      failback: { strategy: 'later', adoptInactive: 'yes' },
      advice: true,
    },
    probers: [],
  })
  expect(error.problems).toEqual([
    { path: 'registry', message: 'is needed' },
    { path: 'mover.move', message: 'must be a function' },
    {
      path: 'policy.mode',
      message: 'Invalid option: expected one of "observe"|"suggest"|"auto"',
      value: '"atuo"',
      remedy: 'Give one of: observe, suggest, auto.',
    },
    {
      path: 'policy.startupDelayMs',
      message: 'Invalid input: expected number, received string',
      value: '"30s"',
      remedy: 'Give a number of milliseconds.',
    },
    { path: 'policy.detect.checkIntervalMs', message: 'Too small: expected number to be >=50', value: '10', remedy: 'Give at least 50.' },
    {
      path: 'policy.detect.pingCount',
      message: 'Invalid input: expected int, received number',
      value: '2.5',
      remedy: 'Give a whole number.',
    },
    {
      path: 'policy.detect.packetLossThresholdPercent',
      message: 'Invalid input: expected number, received NaN',
      value: 'NaN',
      remedy: 'Give a number.',
    },
    { path: 'policy.detect.checkInterval', message: 'is not known', remedy: 'Did you mean checkIntervalMs?' },
    { path: 'policy.guards.massFailureRatio', message: 'Too big: expected number to be <=1', value: '1.5', remedy: 'Give at most 1.' },
    {
      path: 'policy.failback.strategy',
      message: expect.stringContaining('Invalid option'),
      value: '"later"',
      remedy: 'Give one of: never, gradual, immediate, best-score.',
    },
    {
      path: 'policy.failback.adoptInactive',
      message: 'Invalid input: expected boolean, received string',
      value: '"yes"',
      remedy: 'Give a value of type boolean.',
    },
    {
      path: 'policy.advice',
      message: 'Invalid input: expected object, received boolean',
      value: 'true',
      remedy: 'Give a value of type object.',
    },
    { path: 'probers', message: expect.stringContaining('Too small'), remedy: 'Give at least 1.' },
    { path: 'registery', message: 'is not known', remedy: 'Did you mean registry?' },
  ])
  const lines = error.message.split('\n')
  expect(lines[0]).toBe('14 problems in the options:')
  expect(lines).toContain(
    '  policy.startupDelayMs: Invalid input: expected number, received string (was "30s") Give a number of milliseconds.',
  )
  for (const { path } of error.problems) expect(error.message).toContain(`  ${path}: `)
})

test('the problems of both layers of a policy are told at once, and which layer each is in', () => {
  const error = refused(() => resolvePolicy({ startupDelayMs: -1 }, { detect: { pingCount: 0 } }))
  expect(error.problems.map(({ path }) => path)).toEqual(['policy.startupDelayMs', 'patch.detect.pingCount'])
  expect(error.message).toMatch(/^2 problems in the policy:\n/)
})

test.each([undefined, null, 5, 'postgres://user:hunter2@host/db', [], () => {}])(
  'what is no object at all is refused as a whole (%#)',
  (options) => {
    const error = wrong(options)
    expect(error.problems).toMatchObject([{ path: '' }])
    expect(error.message).toMatch(/^1 problem in the options:\n {2}options: /)
  },
)

test.each([
  [{ ...fine, polcy: {} }, 'polcy', 'Did you mean policy?'],
  [{ ...fine, Registry: registry }, 'Registry', 'Did you mean registry?'],
  [{ ...fine, policy: { detct: {} } }, 'policy.detct', 'Did you mean detect?'],
  [
    { ...fine, policy: { detect: { intervalMs: 5000 } } },
    'policy.detect.intervalMs',
    expect.stringMatching(/^Known here: preset, checkIntervalMs, /),
  ],
  [{ ...fine, policy: { detect: { confirm: { durationMS: 5 } } } }, 'policy.detect.confirm.durationMS', 'Did you mean durationMs?'],
  [{ ...fine, policy: { detect: { canaries: [{ host: 'a', prot: 1 }] } } }, 'policy.detect.canaries.0.prot', 'Did you mean port?'],
  [
    { ...fine, policy: { placement: { weights: { failureDomain: 1 } } } },
    'policy.placement.weights.failureDomain',
    'Did you mean failure_domain?',
  ],
  [{ ...fine, policy: { mode: { server_down: 'auto' } } }, 'policy.mode.server_down', 'Did you mean server-down?'],
  [{ ...fine, vantage: { name: 'a', regoin: 'eu' } }, 'vantage.regoin', 'Did you mean region?'],
  [{ ...fine, x: 1 }, 'x', expect.stringMatching(/^Known here: registry, mover, policy, /)],
])('a name that is not known is met with the one that was meant, or with all there are (%#)', (options, path, remedy) => {
  expect(wrong(options).problems).toEqual([{ path, message: 'is not known', remedy }])
})

test('hostile names are shown harmless and short', () => {
  const error = wrong({ ...fine, policy: JSON.parse(`{"__proto__":{"mode":"auto"},"a\\nb":1,"${'x'.repeat(5000)}":1}`) })
  expect(error.problems.map(({ path }) => path)).toEqual([
    'policy.__proto__',
    'policy."a\\nb"',
    expect.stringMatching(/^policy\."x{60,80}\.\.\.$/),
  ])
  expect(error.message.split('\n')).toHaveLength(4)
})

test('however many problems there are, the message stays readable and `problems` has them all', () => {
  const policy = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`name${index}`, 1]))
  const error = wrongPolicy(policy)
  expect(error.problems).toHaveLength(5000)
  expect(error.message.split('\n')).toHaveLength(102)
  expect(error.message).toMatch(/\n {2}and 4900 more$/)
})

test('no class of the schema library is in what is thrown', () => {
  for (const error of [wrong({}), wrong(null), wrongPolicy({ mode: 5 })]) {
    expect('cause' in error).toBe(false)
    expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/zod/i)
    for (const problem of error.problems) expect(JSON.parse(JSON.stringify(problem))).toEqual(problem)
  }
})

// ---------------------------------------------------------------------------------------------------------------- ports

class Panel {
  readonly #token = 'hunter2'
  readonly url = 'https://admin:hunter2@panel.example'
  static calls = 0
  get granularity() {
    return this.#token === 'hunter2' ? ('connection' as const) : ('server' as const)
  }
  async listServers() {
    return []
  }
  async listConnections() {
    return []
  }
  async move() {}
  async write() {}
  async probe() {
    return { sent: 1, received: 1, rttMs: [1] }
  }
  readonly name = 'panel'
}

test('ports may be instances of classes, with methods of parent classes and private fields', () => {
  class Child extends Panel {}
  const panel = new Child()
  parseOptions({ registry: panel, mover: panel, log: panel, probers: [panel, new Panel()] })
  createPintail({ registry: panel, mover: panel, log: panel, probers: [panel] })
})

test('a port is looked at, never copied or called', async () => {
  const seen: string[] = []
  const watched = new Proxy(registry, {
    get(target, key) {
      seen.push(String(key))
      return Reflect.get(target, key)
    },
    ownKeys: () => {
      throw new Error('copied')
    },
  })
  parseOptions({ ...fine, registry: watched })
  expect(new Set(seen)).toEqual(new Set(['listServers', 'listConnections', 'setServerStatus', 'watch', 'coverage']))
})

test.each([
  ['registry', ['listServers', 'listConnections']],
  ['mover', ['move']],
  ['log', ['write']],
  ['logger', ['debug', 'info', 'warn', 'error']],
  ['store', ['commit', 'get', 'list', 'readJournal', 'name']],
  ['leases', ['acquire', 'renew', 'release']],
  ['observations', ['samples']],
  ['notifier', ['deliver']],
  ['metrics', ['count', 'gauge', 'observe']],
  ['clock', ['now', 'setTimeout']],
])('each method that the port %s cannot do without is asked for', (name, methods) => {
  expect(wrong({ ...fine, [name]: {} }).problems.map(({ path }) => path)).toEqual(methods.map((method) => `${name}.${method}`))
  for (const none of [5, 'text', true, null])
    expect(wrong({ ...fine, [name]: none }).problems).toEqual([{ path: name, message: 'must be an object' }])
})

test('the ports of a list are asked one by one', () => {
  const probe = async () => ({ sent: 1, received: 1, rttMs: [] })
  const probers = [{ name: 'a', probe }, { probe }, { name: '', probe: 5 }, null, { name: 'b', probe, probeMany: {} }]
  expect(wrong({ ...fine, probers }).problems.map(({ path }) => path)).toEqual([
    'probers.1.name',
    'probers.2.probe',
    'probers.2.name',
    'probers.3',
    'probers.4.probeMany',
  ])
  expect(wrong({ ...fine, guards: [{ current: async () => [] }, {}] }).problems.map(({ path }) => path)).toEqual(['guards.1.current'])
  expect(wrong({ ...fine, probers: {} }).problems).toMatchObject([{ path: 'probers' }])
})

test('an optional method that is there must be one, and a promise about oneself one of the known words', () => {
  const error = wrong({
    registry: { ...registry, setServerStatus: 'yes', watch: 5, coverage: 'all' },
    mover: { ...mover, locate: {}, verify: null, rollback: undefined, fencing: 'enforce', granularity: 'servers', confirmation: true },
    random: 0.5,
  })
  expect(error.problems.map(({ path }) => path)).toEqual([
    'registry.setServerStatus',
    'registry.watch',
    'registry.coverage',
    'mover.locate',
    'mover.granularity',
    'mover.confirmation',
    'mover.fencing',
    'random',
  ])
  expect(error.problems[2]).toEqual({ path: 'registry.coverage', message: 'must be one of assigned, active, or not there' })
})

test('nothing of a port is ever shown: it may hold a secret', () => {
  const broken = Object.assign(new Panel(), { listServers: 'hunter2', move: ['hunter2'], write: { hunter2: 'hunter2' } })
  for (const error of [
    wrong({ registry: broken, mover: broken, log: broken }),
    wrong({ registry: 'postgres://user:hunter2@host', mover: ['hunter2'], store: 'hunter2', leases: () => 'hunter2', random: 'hunter2' }),
    wrong({ ...fine, probers: ['hunter2', { name: { hunter2: 1 }, probe: 'hunter2' }], guards: 'hunter2', vantage: 'hunter2' }),
    wrong({ ...fine, password: 'hunter2', policy: { password: 'hunter2' } }),
  ])
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter2')
})

test('options whose getters throw are refused, with the reason', () => {
  const throwing = {
    get registry(): never {
      throw new Error('the container is closed')
    },
    mover,
  }
  expect(wrong(throwing)).toMatchObject({ problems: [{ path: '', message: 'could not be read: the container is closed' }] })
  const port = {
    ...fine,
    registry: new Proxy(
      {},
      {
        get() {
          throw new Error('lazy')
        },
      },
    ),
  }
  expect(wrong(port).message).toContain('lazy')
})

// --------------------------------------------------------------------------------------------------------------- presets

const seed000 = {
  CHECK_INTERVAL: 300_000,
  MIGRATION_THRESHOLD: 3,
  PING_COUNT: 5,
  PING_TIMEOUT: 3000,
  PACKET_LOSS_THRESHOLD: 50,
  LATENCY_THRESHOLD: 300,
  STARTUP_DELAY: 30_000,
}
const asSeed000 = ({ startupDelayMs, detect }: Policy) => ({
  CHECK_INTERVAL: detect.checkIntervalMs,
  MIGRATION_THRESHOLD: detect.migrationThreshold,
  PING_COUNT: detect.pingCount,
  PING_TIMEOUT: detect.pingTimeoutMs,
  PACKET_LOSS_THRESHOLD: detect.packetLossThresholdPercent,
  LATENCY_THRESHOLD: detect.latencyThresholdMs,
  STARTUP_DELAY: startupDelayMs,
})

test('the preset seed is exactly seed 000, and confirms nothing fast', () => {
  const { policy } = resolvePolicy({ detect: { preset: 'seed' } })
  expect(asSeed000(policy)).toEqual(seed000)
  expect(policy.detect.confirm).toBeNull()
})

test('the preset seed-budget spends the same packets: one each minute instead of five each five, and then confirms fast', () => {
  const { policy } = resolvePolicy({ detect: { preset: 'seed-budget' } })
  expect(asSeed000(policy)).toEqual({ ...seed000, CHECK_INTERVAL: 60_000, PING_COUNT: 1 })
  expect(policy.detect.confirm).toEqual(resolvePolicy().policy.detect.confirm)
  expect(policy.detect.checkIntervalMs / policy.detect.pingCount).toBe(seed000.CHECK_INTERVAL / seed000.PING_COUNT)
})

test('the thresholds are those of seed 000 in all presets', () => {
  for (const preset of ['default', 'seed-budget', 'seed'] as const) {
    const { MIGRATION_THRESHOLD, PACKET_LOSS_THRESHOLD, LATENCY_THRESHOLD, PING_TIMEOUT } = asSeed000(
      resolvePolicy({ detect: { preset } }).policy,
    )
    expect({ MIGRATION_THRESHOLD, PACKET_LOSS_THRESHOLD, LATENCY_THRESHOLD, PING_TIMEOUT }).toEqual({
      MIGRATION_THRESHOLD: 3,
      PACKET_LOSS_THRESHOLD: 50,
      LATENCY_THRESHOLD: 300,
      PING_TIMEOUT: 3000,
    })
  }
})

test('the defaults are what the documentation says', () => {
  expect(resolvePolicy().policy).toEqual({
    mode: Object.fromEntries(allReasons.map((reason) => [reason, 'observe'])),
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
      confirm: { intervalMs: 200, durationMs: 7000, timeoutMs: 1000 },
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
      weights: expect.objectContaining({ headroom: expect.any(Number), failure_domain: expect.any(Number) }),
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
      revokeGraceMs: 86_400_000,
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
      declinedMs: 86_400_000,
      windows: [],
    },
    retention: { pruneIntervalMs: 3_600_000, movesMs: 86_400_000, journalMs: 2_592_000_000 },
  })
})

// ---------------------------------------------------------------------------------------------------------------- layers

const allReasons: readonly MigrationReason[] = [
  'server-down',
  'degraded',
  'cost-optimization',
  'manual',
  'rebalancing',
  'maintenance',
  'failback',
  'user-request',
]
const modes = (mode: Mode, others: Partial<Record<MigrationReason, Mode>> = {}) => ({
  ...Object.fromEntries(allReasons.map((reason) => [reason, mode])),
  ...others,
})

test('explicit values win over a preset, also over one that is chosen in the patch', () => {
  const detect = { checkIntervalMs: 10_000, confirm: { durationMs: 1000 } }
  for (const { policy } of [
    resolvePolicy({ detect: { preset: 'seed', ...detect } }),
    resolvePolicy({ detect }, { detect: { preset: 'seed' } }),
  ]) {
    expect(policy.detect).toMatchObject({ preset: 'seed', checkIntervalMs: 10_000, pingCount: 5 })
    expect(policy.detect.confirm).toEqual({ intervalMs: 200, durationMs: 1000, timeoutMs: 1000 })
  }
})

test('the patch wins over the code, value by value, and what it does not name stays', () => {
  const { policy } = resolvePolicy(
    { startupDelayMs: 1, detect: { pingCount: 2, migrationThreshold: 4 }, placement: { weights: { cost: 50 } } },
    { detect: { pingCount: 3 }, placement: { weights: { latency: 60 } } },
  )
  expect(policy.startupDelayMs).toBe(1)
  expect(policy.detect).toMatchObject({ pingCount: 3, migrationThreshold: 4 })
  expect(policy.placement.weights).toMatchObject({ cost: 50, latency: 60, headroom: 30 })
})

test('a patch changes back to the preset of the code when it is gone', () => {
  const code = { detect: { preset: 'seed' as const } }
  resolvePolicy(code, { detect: { preset: 'default' } })
  expect(resolvePolicy(code).policy.detect.checkIntervalMs).toBe(300_000)
})

test('an undefined value says nothing', () => {
  const given = { mode: undefined, startupDelayMs: undefined, detect: { pingCount: undefined, confirm: undefined }, guards: undefined }
  expect(resolvePolicy(given as unknown as PolicyInput)).toEqual(resolvePolicy())
})

test('a mode is one word for all reasons, or one a reason with a default', () => {
  expect(resolvePolicy({ mode: 'auto' }).policy.mode).toEqual(modes('auto'))
  expect(resolvePolicy({ mode: { 'server-down': 'auto' } }).policy.mode).toEqual(modes('observe', { 'server-down': 'auto' }))
  expect(resolvePolicy({ mode: { manual: 'suggest', default: 'auto' } }).policy.mode).toEqual(modes('auto', { manual: 'suggest' }))
  expect(resolvePolicy({ mode: {} }).policy.mode).toEqual(modes('observe'))
})

test('a mode in the patch changes what it names: a word or a default all, a reason only itself', () => {
  const code: PolicyInput = { mode: { default: 'auto', manual: 'suggest' } }
  expect(resolvePolicy(code, { mode: 'observe' }).policy.mode).toEqual(modes('observe'))
  expect(resolvePolicy(code, { mode: { failback: 'observe' } }).policy.mode).toEqual(
    modes('auto', { manual: 'suggest', failback: 'observe' }),
  )
  expect(resolvePolicy(code, { mode: { default: 'suggest', degraded: 'auto' } }).policy.mode).toEqual(
    modes('suggest', { degraded: 'auto' }),
  )
})

test.each([
  [5, 'policy.mode'],
  [null, 'policy.mode'],
  [['auto'], 'policy.mode'],
  ['AUTO', 'policy.mode'],
  [{ default: 'atuo' }, 'policy.mode.default'],
  [{ 'server-down': null }, 'policy.mode.server-down'],
])('a mode that is none is refused, and the problem says where: %j', (mode, path) => {
  expect(wrongPolicy({ mode }).problems.map((problem) => problem.path)).toEqual([path])
})

test('confirm null means none, and a part of it goes over what is below', () => {
  const confirm = { intervalMs: 200, durationMs: 7000, timeoutMs: 1000 }
  expect(resolvePolicy({ detect: { confirm: null } }).policy.detect.confirm).toBeNull()
  expect(resolvePolicy({ detect: { confirm: null } }, { detect: { confirm: {} } }).policy.detect.confirm).toEqual(confirm)
  expect(
    resolvePolicy({ detect: { confirm: { timeoutMs: 50 } } }, { detect: { confirm: { durationMs: 0 } } }).policy.detect.confirm,
  ).toEqual({
    ...confirm,
    timeoutMs: 50,
    durationMs: 0,
  })
  expect(resolvePolicy({ detect: { confirm: { timeoutMs: 50 } } }, { detect: { confirm: null } }).policy.detect.confirm).toBeNull()
})

test('every value names its source', () => {
  const { sources } = resolvePolicy(
    { detect: { preset: 'seed', pingCount: 2 }, mode: { default: 'suggest', manual: 'auto' } },
    { detect: { migrationThreshold: 4 }, mode: { failback: 'observe' } },
  )
  expect(sources).toMatchObject({
    startupDelayMs: 'preset',
    'detect.preset': 'code',
    'detect.checkIntervalMs': 'preset',
    'detect.pingCount': 'code',
    'detect.migrationThreshold': 'patch',
    'detect.latencyThresholdMs': 'default',
    'mode.server-down': 'code',
    'mode.manual': 'code',
    'mode.failback': 'patch',
    'placement.weights.cost': 'default',
  })
})

/** Dotted paths of all values; a list is one value. */
const pathsOf = (value: unknown, prefix = ''): string[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, prefix ? `${prefix}.${key}` : key))
    : [prefix]

test.each<[PolicyInput, PolicyInput]>([
  [{}, {}],
  [{ detect: { preset: 'seed' } }, {}],
  [{ detect: { preset: 'seed', confirm: { durationMs: 1 } } }, {}],
  [{ detect: { confirm: null } }, { detect: { confirm: { intervalMs: 50 } } }],
  [{ detect: { confirm: { intervalMs: 50 } } }, { detect: { confirm: null } }],
  [{ mode: 'auto', detect: { canaries: [{ host: 'a' }] } }, { mode: { manual: 'observe' } }],
])('the sources name exactly the values that there are (%#)', (code, patch) => {
  const { policy, sources } = resolvePolicy(code, patch)
  expect(Object.keys(sources).sort()).toEqual(pathsOf(policy).sort())
})

test('what fills up a part of confirm comes from the defaults, not from the preset that had none', () => {
  const { sources } = resolvePolicy({ detect: { preset: 'seed', confirm: { durationMs: 1 } } })
  expect(sources).toMatchObject({ 'detect.confirm.durationMs': 'code', 'detect.confirm.intervalMs': 'default' })
})

test('a policy is a frozen copy: who changes the object that was given, or the answer, changes nothing', () => {
  const given = { detect: { pingCount: 2, canaries: [{ host: 'a.example' }] } }
  const { policy } = resolvePolicy(given)
  given.detect.pingCount = 9
  given.detect.canaries.push({ host: 'b.example' })
  ;(given.detect.canaries[0] as { host: string }).host = 'c.example'
  expect(policy.detect).toMatchObject({ pingCount: 2, canaries: [{ host: 'a.example' }] })
  expect(() => ((policy.detect as { pingCount: number }).pingCount = 5)).toThrow(TypeError)
  expect(() => (policy.detect.canaries as unknown[]).push(1)).toThrow(TypeError)
  expect(resolvePolicy().policy.detect.canaries).toEqual([])
  expect(Object.isFrozen(given.detect.canaries)).toBe(false)
})

// ---------------------------------------------------------------------------------------------------------------- values

test.each(['192.0.2.1', '2001:db8::1', 'one.example'])('a canary may be %s', (host) => {
  expect(resolvePolicy({ detect: { canaries: [{ host }, { host, port: 443 }] } }).policy.detect.canaries).toEqual([
    { host },
    { host, port: 443 },
  ])
})

test.each<[string, unknown, string]>([
  ['an option', { host: '-f' }, 'policy.detect.canaries.0.host'],
  ['a command', { host: '$(reboot)' }, 'policy.detect.canaries.0.host'],
  ['a URL', { host: 'https://one.example' }, 'policy.detect.canaries.0.host'],
  ['IPv4 of three parts', { host: '1.1.1' }, 'policy.detect.canaries.0.host'],
  ['no host', {}, 'policy.detect.canaries.0.host'],
  ['a host that is no text', { host: 5 }, 'policy.detect.canaries.0.host'],
  ['a port of 0', { host: 'a', port: 0 }, 'policy.detect.canaries.0.port'],
  ['a port as text', { host: 'a', port: '443' }, 'policy.detect.canaries.0.port'],
  ['a text', 'one.example', 'policy.detect.canaries.0'],
  ['null', null, 'policy.detect.canaries.0'],
])('a canary is checked like any host: %s', (_, canary, path) => {
  expect(wrongPolicy({ detect: { canaries: [canary] } }).problems.map((problem) => problem.path)).toEqual([path])
})

test('at most 16 canaries', () => {
  expect(wrongPolicy({ detect: { canaries: Array(17).fill({ host: 'a' }) } }).problems).toMatchObject([
    { path: 'policy.detect.canaries', remedy: 'Give at most 16.' },
  ])
})

const bounds: readonly [path: string, low: number, high: number, isWhole: boolean][] = [
  ['startupDelayMs', 0, 3_600_000, true],
  ['registryRefreshMs', 50, 86_400_000, true],
  ['detect.checkIntervalMs', 50, 86_400_000, true],
  ['detect.migrationThreshold', 1, 100, true],
  ['detect.recoveryThreshold', 1, 100, true],
  ['detect.pingCount', 1, 100, true],
  ['detect.pingTimeoutMs', 20, 60_000, true],
  ['detect.packetLossThresholdPercent', 0, 100, false],
  ['detect.latencyThresholdMs', 1, 60_000, false],
  ['detect.jitter', 0, 0.5, false],
  ['detect.confirm.intervalMs', 20, 60_000, true],
  ['detect.confirm.durationMs', 0, 3_600_000, true],
  ['detect.confirm.timeoutMs', 20, 60_000, true],
  ['detect.maxConcurrentProbes', 1, 10_000, true],
  ['guards.massFailureRatio', 0, 1, false],
  ['guards.minServers', 1, 1000, true],
  ['guards.recheckMs', 50, 3_600_000, true],
  ['guards.dampingCeiling', 1, 100, false],
  ['placement.fillLimit', 0.01, 1, false],
  ['placement.defaultCapacity', 0, 10_000_000, true],
  ['placement.maxArrivals', 1, 10_000_000, true],
  ['placement.hostHeadroom', 0, 1_000_000, true],
  ['placement.weights.cost', 0, 100, false],
  ['migration.concurrency', 1, 10_000, true],
  ['migration.concurrencyPerTarget', 1, 10_000, true],
  ['migration.timeoutMs', 10, 3_600_000, true],
  ['migration.moveTries', 1, 20, true],
  ['migration.maxRetries', 0, 20, true],
  ['migration.backoffMs', 1, 3_600_000, true],
  ['migration.targetsPerConnection', 1, 100, true],
  ['migration.retryUnplacedMs', 50, 86_400_000, true],
]
const put = (path: string, value: unknown): PolicyInput =>
  path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as PolicyInput
const look = (policy: Policy, path: string): unknown =>
  path.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], policy)

test.each(bounds)('%s is from %d to %d, as its comment says', (path, low, high, isWhole) => {
  for (const value of [low, high]) expect(look(resolvePolicy(put(path, value)).policy, path)).toBe(value)
  const outside = [low - 1, high + (isWhole ? 1 : 0.001), -1e9, 2 ** 60, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  const noNumbers = [String(low), `${high}ms`, '5s', true, [low], { value: low }, 3n, new Date(0)]
  for (const value of [...outside, ...noNumbers, ...(isWhole ? [low + 0.5] : [])]) {
    const { problems } = wrongPolicy(put(path, value))
    expect(problems.length, `${path} ${String(value)}`).toBeGreaterThan(0)
    for (const problem of problems) expect(problem.path).toBe(`policy.${path}`)
  }
})

test('a number with a unit is told what to give instead', () => {
  expect(wrongPolicy({ detect: { checkIntervalMs: '5m' } }).problems).toMatchObject([
    { value: '"5m"', remedy: 'Give a number of milliseconds.' },
  ])
})

test('a number beyond all bounds is one problem with the bound that counts', () => {
  expect(wrongPolicy({ detect: { pingCount: 2 ** 60 } }).problems).toMatchObject([
    { path: 'policy.detect.pingCount', remedy: 'Give at most 100.' },
  ])
})

class Config {
  mode = 'auto'
}
test.each<[string, unknown, string]>([
  ['a Map', new Map([['mode', 'auto']]), 'policy'],
  ['a class instance', new Config(), 'policy'],
  ['a date', new Date(0), 'policy'],
  ['an object that inherits its values', Object.create({ mode: 'auto' }), 'policy'],
  ['a Map within', { detect: new Map() }, 'policy.detect'],
  ['a class instance in a list', { detect: { canaries: [new URL('http://a.example')] } }, 'policy.detect.canaries.0'],
])('a policy is plain JSON: what would be read as an empty one is refused: %s', (_, policy, path) => {
  const { problems } = wrong({ ...fine, policy })
  expect(problems).toContainEqual({ path, message: 'must be plain JSON', remedy: 'Give an object literal, or what JSON.parse() gives.' })
})

test('an object without a prototype is plain', () => {
  expect(resolvePolicy(Object.assign(Object.create(null), { mode: 'auto' })).policy.mode.manual).toBe('auto')
})

test('a policy that contains itself has an end', () => {
  const circle: Record<string, unknown> = {}
  circle.detect = circle
  circle.more = circle
  expect(wrongPolicy(circle).problems.map(({ path }) => path)).toEqual(expect.arrayContaining(['policy.more', 'policy.detect.detect']))
})

// --------------------------------------------------------------------------------------------------------------- garbage

const garbage = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withObjectString: true,
  withSparseArray: true,
  withTypedArray: true,
})
const mostly = (fineValue: fc.Arbitrary<unknown>) => fc.oneof({ weight: 12, arbitrary: fineValue }, { weight: 1, arbitrary: garbage })
const policies = fc.record(
  {
    mode: mostly(
      fc.oneof(
        fc.constantFrom('observe', 'suggest', 'auto'),
        fc.dictionary(fc.constantFrom(...allReasons, 'default'), mostly(fc.constantFrom('observe', 'auto'))),
      ),
    ),
    startupDelayMs: mostly(fc.nat(3_600_000)),
    detect: mostly(
      fc.record(
        {
          preset: mostly(fc.constantFrom('default', 'seed-budget', 'seed')),
          pingCount: mostly(fc.integer({ min: 1, max: 100 })),
          jitter: mostly(fc.double({ min: 0, max: 0.5, noNaN: true })),
          confirm: mostly(fc.oneof(fc.constant(null), fc.record({ durationMs: mostly(fc.nat(1000)) }, { requiredKeys: [] }))),
          canaries: mostly(fc.array(fc.record({ host: mostly(fc.domain()) }), { maxLength: 3 })),
        },
        { requiredKeys: [] },
      ),
    ),
    placement: mostly(
      fc.record(
        { weights: mostly(fc.dictionary(fc.constantFrom('cost', 'latency'), fc.integer({ min: 0, max: 100 }))) },
        { requiredKeys: [] },
      ),
    ),
  },
  { requiredKeys: [] },
)

/** A policy, or every reason why not; never anything else. */
function outcome(call: () => { policy: Policy; sources: object }): 'policy' | 'refused' {
  let answer: ReturnType<typeof call>
  try {
    answer = call()
  } catch (error) {
    if (!isPintailError(error, 'invalid_options')) throw error
    expect(error.problems.length).toBeGreaterThan(0)
    expect(inspect(error.cause)).not.toMatch(/zod/i)
    return 'refused'
  }
  expect(JSON.parse(JSON.stringify(answer.policy))).toEqual(answer.policy)
  expect(Object.keys(answer.sources).sort()).toEqual(pathsOf(answer.policy).sort())
  // What came out is a policy that may go in again, and then says the same.
  expect(resolvePolicy(answer.policy).policy).toEqual(answer.policy)
  return 'policy'
}

test('whatever the policy and its patch are, there is a policy or a list of problems, and never another error', () => {
  const seen = { policy: 0, refused: 0 }
  fc.assert(
    fc.property(
      fc.oneof({ weight: 5, arbitrary: policies }, { weight: 1, arbitrary: garbage }),
      fc.oneof({ weight: 5, arbitrary: policies }, { weight: 1, arbitrary: garbage }),
      (code, patch) => {
        seen[outcome(() => resolvePolicy(code as PolicyInput, patch as PolicyInput))]++
      },
    ),
    { seed, numRuns: 3000 },
  )
  expect(Math.min(seen.policy, seen.refused)).toBeGreaterThan(300)
})

test('whatever the options are, there is a policy or a list of problems, and never another error', () => {
  const seen = { policy: 0, refused: 0 }
  const options = fc.record(
    {
      registry: mostly(fc.constant(registry)),
      mover: mostly(fc.constant(mover)),
      policy: policies,
      probers: mostly(fc.array(mostly(fc.constant({ name: 'a', probe: async () => {} })), { minLength: 1 })),
      store: mostly(fc.constant(undefined)),
      random: mostly(fc.constant(() => 0)),
      vantage: mostly(fc.constant({ name: 'ams' })),
    },
    { requiredKeys: ['registry', 'mover'] },
  )
  fc.assert(
    fc.property(fc.oneof({ weight: 4, arbitrary: options }, { weight: 1, arbitrary: garbage }), (given) => {
      seen[outcome(() => parseOptions(given as never))]++
    }),
    { seed, numRuns: 2000 },
  )
  expect(Math.min(seen.policy, seen.refused)).toBeGreaterThan(200)
})

test('the ranges of failback and of the resource limits', () => {
  const failback = { strategy: 'gradual', stableMs: 0, batchPercent: 1, batchIntervalMs: 604_800_000, minGain: 1 } as const
  const resourceLimits = { cpuPercent: 0, diskPercent: 100 }
  const { policy } = resolvePolicy({ failback, placement: { resourceLimits } })
  expect(policy.failback).toEqual({ ...failback, adoptInactive: false })
  expect(policy.placement.resourceLimits).toEqual({ cpuPercent: 0, memoryPercent: 90, diskPercent: 100 })
  for (const [wrongly, path] of [
    [{ failback: { stableMs: 604_800_001 } }, 'failback.stableMs'],
    [{ failback: { batchPercent: 0 } }, 'failback.batchPercent'],
    [{ failback: { batchIntervalMs: -1 } }, 'failback.batchIntervalMs'],
    [{ failback: { minGain: 1.1 } }, 'failback.minGain'],
    [{ placement: { resourceLimits: { memoryPercent: 101 } } }, 'placement.resourceLimits.memoryPercent'],
  ] as const)
    expect(refused(() => resolvePolicy(wrongly)).problems.map((problem) => problem.path)).toEqual([`policy.${path}`])
})

test('vantages elsewhere have names and regions that can be told apart, and no more than 64 of them', () => {
  const vantages = { 'teh-1': { region: 'ir' }, 'fra.2': {} }
  expect(resolvePolicy({ detect: { vantages } }, { detect: { vantages: { 'teh-2': { region: 'ir' } } } }).policy.detect.vantages).toEqual({
    ...vantages,
    'teh-2': { region: 'ir' },
  })
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`v${index}`, {}]))
  for (const bad of [many, { '*': {} }, { 'a b': {} }, { a: { region: '*' } }, { a: { region: '' } }, ['a']])
    expect(() => resolvePolicy({ detect: { vantages: bad as never } }), JSON.stringify(bad).slice(0, 60)).toThrow(/vantages/)
  expect(() => resolvePolicy({ detect: { vantages: { a: { regoin: 'ir' } as never } } })).toThrow(/Did you mean region\?/)
})
