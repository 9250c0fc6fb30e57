import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { type Given, SettingsError } from './read.ts'
import { resolveSettings } from './resolve.ts'
import { settingNames, settings } from './settings.ts'
import { problemsText, settingsTable } from './show.ts'

const folder = mkdtempSync(join(tmpdir(), 'pintail-settings-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
function file(text: string, name = `config-${files++}.yaml`): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const resolve = (env: Given['env'] = {}, flags: Given['flags'] = {}) => resolveSettings({ env, flags })
function problems(env: Given['env'], flags: Given['flags'] = {}) {
  try {
    resolve(env, flags)
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  }
  return []
}
const problem = (env: Given['env'], flags: Given['flags'] = {}) => {
  const all = problems(env, flags)
  expect(all).toHaveLength(1)
  return all[0]
}

const plain = { bold: String, dim: String, cyan: String, red: String } as never

describe("the seed's nine variables", () => {
  const defaults = {
    DATABASE_SERVICE_URL: 'http://database-service:5002',
    WIREGUARD_SERVICE_URL: 'http://wireguard-service:5001',
    CHECK_INTERVAL: '300',
    MIGRATION_THRESHOLD: '3',
    PING_COUNT: '5',
    PING_TIMEOUT: '3',
    PACKET_LOSS_THRESHOLD: '50.0',
    LATENCY_THRESHOLD: '300.0',
    STARTUP_DELAY: '30',
  }

  test('they have the names and defaults of the seed', () => {
    const byVariable = Object.fromEntries(settingNames.map((name) => [settings[name].env, resolve().values[name]]))
    for (const [name, text] of Object.entries(defaults)) expect(byVariable[name], name).toBe(name.endsWith('_URL') ? text : Number(text))
  })

  test('saying a default changes nothing but its source', () => {
    const said = resolve(defaults)
    const silent = resolve()
    expect(said.values).toEqual(silent.values)
    expect(said.policy).toEqual(silent.policy)
    expect(said.sources.checkInterval).toBe('environment')
    expect(silent.sources.checkInterval).toBe('default')
  })

  test('with preset seed each of them is exactly what the original does with it', () => {
    const { policy } = resolve({ PINTAIL_PRESET: 'seed' }).view
    expect(policy.startupDelayMs).toBe(30_000)
    expect(policy.detect).toMatchObject({
      checkIntervalMs: 300_000,
      migrationThreshold: 3,
      pingCount: 5,
      pingTimeoutMs: 3000,
      packetLossThresholdPercent: 50,
      latencyThresholdMs: 300,
      confirm: null,
    })
  })

  test('each of them reaches the policy in its own unit', () => {
    const { policy } = resolve({
      PINTAIL_PRESET: 'seed',
      CHECK_INTERVAL: '7.5',
      MIGRATION_THRESHOLD: '4',
      PING_COUNT: '2',
      PING_TIMEOUT: '0.5',
      PACKET_LOSS_THRESHOLD: '12.5',
      LATENCY_THRESHOLD: '123.4',
      STARTUP_DELAY: '0',
    }).view
    expect(policy.startupDelayMs).toBe(0)
    expect(policy.detect).toMatchObject({
      checkIntervalMs: 7500,
      migrationThreshold: 4,
      pingCount: 2,
      pingTimeoutMs: 500,
      packetLossThresholdPercent: 12.5,
      latencyThresholdMs: 123.4,
    })
  })

  test('the preset seed-budget sends as many packets as they say, one at a time', () => {
    expect(resolve().view.policy.detect).toMatchObject({ preset: 'seed-budget', checkIntervalMs: 60_000, pingCount: 1 })
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 86_400 }), fc.integer({ min: 1, max: 100 }), (interval, packets) => {
        const { checkIntervalMs, pingCount } = resolve({ CHECK_INTERVAL: `${interval}`, PING_COUNT: `${packets}` }).view.policy.detect
        expect(pingCount).toBe(1)
        // Half a millisecond is what rounding may cost.
        expect(Math.abs(checkIntervalMs * packets - interval * 1000)).toBeLessThanOrEqual(packets / 2)
      }),
      { seed: 7, numRuns: 50 },
    )
  })

  test('with the preset default its own pace holds, and what is set wins over it', () => {
    const { policy } = resolve({ PINTAIL_PRESET: 'default' }).view
    expect(policy).toMatchObject({ startupDelayMs: 0, detect: { checkIntervalMs: 5000, pingCount: 1 } })
    const set = resolve({ PINTAIL_PRESET: 'default', CHECK_INTERVAL: '20', STARTUP_DELAY: '4' }).view.policy
    expect(set).toMatchObject({ startupDelayMs: 4000, detect: { checkIntervalMs: 20_000 } })
  })
})

describe('what is wrong', () => {
  const numbers = {
    CHECK_INTERVAL: ['3s', '3', '86401'],
    MIGRATION_THRESHOLD: ['3x', null, '101'],
    PING_COUNT: ['5 packets', null, '0'],
    PING_TIMEOUT: ['500ms', '0.5', '61'],
    PACKET_LOSS_THRESHOLD: ['50%', '50', '100.1'],
    LATENCY_THRESHOLD: ['0.3s', '300', '0'],
    STARTUP_DELAY: ['2m', '120', '3601'],
    PINTAIL_STOP_TIMEOUT: ['10s', '10', '601'],
    PINTAIL_PORT: ['http', null, '65536'],
  } as const

  test.each(Object.entries(numbers))(
    '%s refuses what is empty, negative, NaN, out of range or has a unit',
    (name, [unit, meant, outside]) => {
      expect(problem({ [name]: '' })?.is).toBe('is empty')
      expect(problem({ [name]: '   ' })?.is).toBe('is empty')
      expect(problem({ [name]: '-1' })?.is).toBe('is negative')
      expect(problem({ [name]: 'NaN' })?.is).toBe('is not a number')
      expect(problem({ [name]: 'Infinity' })?.is).toBe('is not a number')
      expect(problem({ [name]: '0x10' })?.is).toBe('is not a number')
      expect(problem({ [name]: '1e999' })?.is).toBe('is out of range')
      expect(problem({ [name]: outside })?.is).toBe('is out of range')
      const withUnit = problem({ [name]: unit })
      expect(withUnit).toMatchObject({ name, value: unit, source: 'environment' })
      if (meant !== null) {
        expect(withUnit?.right).toMatch(new RegExp(`: ${meant}$`))
        expect(problems({ [name]: meant })).toEqual([])
      }
    },
  )

  test('whole numbers are asked for by name', () => {
    for (const name of ['MIGRATION_THRESHOLD', 'PING_COUNT', 'PINTAIL_PORT', 'PINTAIL_MAX_ARRIVALS'])
      expect(problem({ [name]: '2.5' })?.is, name).toBe('is not a whole number')
    expect(problem({ PACKET_LOSS_THRESHOLD: '50,0' })?.right).toContain('50.0')
  })

  test('everything that is wrong is said in one answer, whatever its source', () => {
    const config = file('pingCount: none at all\npolicy:\n  placement:\n    fillLimit: 7\nchekInterval: 3\n')
    const all = problems(
      {
        CHECK_INTERVAL: '3s',
        PING_TIMEOUT: '',
        DATABASE_SERVICE_URL: 'database-service:5002',
        PINTAIL_STORE: 'redis',
        PINTAIL_CONFIG: config,
      },
      { mode: 'atuo' },
    )
    expect(all.map(({ name, source }) => [name, source])).toEqual([
      ['DATABASE_SERVICE_URL', 'environment'],
      ['CHECK_INTERVAL', 'environment'],
      ['pingCount', 'file'],
      ['PING_TIMEOUT', 'environment'],
      ['--mode', 'flag'],
      ['PINTAIL_STORE', 'environment'],
      ['chekInterval', 'file'],
      ['policy.placement.fillLimit', 'file'],
    ])
    const text = problemsText(all, plain)
    for (const { name, right } of all) {
      expect(text).toContain(name)
      expect(text).toContain(right)
    }
    expect(all.find(({ name }) => name === 'chekInterval')?.right).toBe('did you mean checkInterval?')
    expect(all.find(({ name }) => name === '--mode')?.right).toContain('did you mean auto?')
  })

  test('a password is in no message', () => {
    for (const url of ['http//root:hunter2@db', 'ftp://root:hunter2@db', 'http://root:hunter2@db?x=1'])
      expect(problemsText(problems({ DATABASE_SERVICE_URL: url }), plain)).not.toContain('hunter2')
    const shown = settingsTable(resolve({ DATABASE_SERVICE_URL: 'http://root:hunter2@db:5002' }), plain)
    expect(shown).toContain('http://***@db:5002')
    expect(shown).not.toContain('hunter2')
  })

  test('a URL is http or https, and is kept without a slash at its end', () => {
    expect(resolve({ DATABASE_SERVICE_URL: ' https://db.example/base/ ' }).values.databaseServiceUrl).toBe('https://db.example/base')
    for (const url of ['database-service', 'file:///etc/passwd', 'http://db?x=1', 'http://'])
      expect(problems({ DATABASE_SERVICE_URL: url })).toHaveLength(1)
  })

  test('hosts are read one by one', () => {
    expect(resolve({ PINTAIL_CANARIES: '1.1.1.1, resolver.example:53,[2001:db8::1]:53 ,2001:db8::2' }).values.canaries).toEqual([
      { host: '1.1.1.1' },
      { host: 'resolver.example', port: 53 },
      { host: '2001:db8::1', port: 53 },
      { host: '2001:db8::2' },
    ])
    expect(problem({ PINTAIL_CANARIES: '1.1.1.1,-h,x:99999' })?.is).toContain('"-h", "x:99999"')
  })

  test('a canary that the prober cannot open is refused', () => {
    const env = { PINTAIL_PROBER: 'tcp', PINTAIL_CANARIES: '1.1.1.1,2.2.2.2:53' }
    expect(problem(env)).toMatchObject({ name: 'PINTAIL_CANARIES', value: '1.1.1.1', is: 'has no port, and the prober is tcp' })
    expect(problems({ ...env, PINTAIL_TCP_PORT: '443' })).toEqual([])
    expect(problems({ ...env, PINTAIL_PROBER: 'icmp' })).toEqual([])
  })

  test('unknown PINTAIL_ variables are warned about with the nearest name; those of others are not', () => {
    expect(resolve({ PINTAIL_MOED: 'auto', PATH: '/', PINT: '1' }).warnings).toEqual([
      'PINTAIL_MOED is not known and changes nothing; did you mean PINTAIL_MODE?',
    ])
    expect(resolve({ PINTAIL_SOMETHING_ELSE_ENTIRELY: '1' }).warnings[0]).not.toContain('did you mean')
  })
})

describe('layers', () => {
  test('flags win over the environment, the environment over the file, the file over the defaults', () => {
    const PINTAIL_CONFIG = file('checkInterval: 10\npingCount: 1\nmode: observe\n')
    const both = resolve({ PINTAIL_CONFIG, CHECK_INTERVAL: '20', PINTAIL_MODE: 'suggest' }, { mode: 'auto' })
    expect(both.values).toMatchObject({ checkInterval: 20, pingCount: 1, mode: 'auto', pingTimeout: 3 })
    expect(both.sources).toMatchObject({
      checkInterval: 'environment',
      pingCount: 'file',
      mode: 'flag',
      pingTimeout: 'default',
      config: 'environment',
    })
  })

  test('JSON is read as well as YAML, tabs and all', () => {
    const config = file('{\n\t"checkInterval": 10,\n\t"policy": {"failback": {"strategy": "gradual"}}\n}', 'config.json')
    const { values, view } = resolve({}, { config })
    expect(values.checkInterval).toBe(10)
    expect(view.policy.failback.strategy).toBe('gradual')
  })

  test('the policy of the file holds where no setting says otherwise', () => {
    const config = file('policy:\n  detect: { checkIntervalMs: 1234, pingCount: 2, confirm: { durationMs: 500 } }\n  startupDelayMs: 7\n')
    const fromFile = resolve({ PINTAIL_CONFIG: config }).view.policy
    expect(fromFile).toMatchObject({ startupDelayMs: 7, detect: { checkIntervalMs: 1234, pingCount: 2, confirm: { durationMs: 500 } } })
    const over = resolve({ PINTAIL_CONFIG: config, CHECK_INTERVAL: '9', STARTUP_DELAY: '1' }).view.policy
    expect(over).toMatchObject({ startupDelayMs: 1000, detect: { checkIntervalMs: 9000, pingCount: 2 } })
  })

  test('a file that says one thing twice is refused', () => {
    const config = file('checkInterval: 10\nmode: auto\npolicy:\n  mode: observe\n  detect: { checkIntervalMs: 1234 }\n')
    expect(problems({ PINTAIL_CONFIG: config }).map(({ name }) => name)).toEqual(['checkInterval', 'mode'])
  })

  test.each([
    ['a file that is not there', null, 'does not exist'],
    ['a list', '- a\n', 'has no settings'],
    ['broken YAML', 'a: [1, 2\nb: 3', 'is no YAML in line'],
    ['a key twice', 'mode: auto\nmode: observe\n', 'is no YAML in line 2'],
    ['a text', 'observe', 'has no settings'],
    ['more than a megabyte', `#${'x'.repeat(1_100_000)}`, 'has more than a megabyte'],
  ])('%s is refused with its reason', (_what, text, is) => {
    const path = text === null ? join(folder, 'nowhere.yaml') : file(text)
    expect(problems({ PINTAIL_CONFIG: path })[0]).toMatchObject({ name: 'PINTAIL_CONFIG', is: expect.stringContaining(is) })
  })

  test('a folder is refused, an empty file says nothing, and a variable in a file is told its name there', () => {
    expect(problem({ PINTAIL_CONFIG: folder })?.is).toBe('is a folder')
    expect(problems({ PINTAIL_CONFIG: file('') })).toEqual([])
    expect(problems({ PINTAIL_CONFIG: file('policy:\n') })).toEqual([])
    expect(problem({ PINTAIL_CONFIG: file('CHECK_INTERVAL: 3') })?.right).toBe('did you mean checkInterval?')
  })

  test('the problems of the policy are those that the engine finds', () => {
    const all = problems({ PINTAIL_CONFIG: file('policy:\n  detect: { pingCuont: 3 }\n  failback: yes please\n') })
    expect(all.map(({ name }) => name)).toEqual(expect.arrayContaining(['policy.detect.pingCuont', 'policy.failback']))
    expect(all[0]?.right).toContain('pingCount')
    expect(problems({ PINTAIL_CONFIG: file('policy: auto\n') })).toHaveLength(1)
  })
})

describe('modes', () => {
  test('advice is off until it is asked for; then both of its reasons have that level, also over the file, and observe means everything', () => {
    expect(resolve().view.policy).toMatchObject({ advice: { enabled: false }, mode: { rebalancing: 'observe' } })
    const asked = resolve({ PINTAIL_ADVICE: 'suggest', PINTAIL_ADVICE_INTERVAL: '60' }).view.policy
    expect(asked.advice).toMatchObject({ enabled: true, intervalMs: 60_000 })
    expect(asked.mode).toMatchObject({ 'cost-optimization': 'suggest', rebalancing: 'suggest', 'server-down': 'auto', manual: 'observe' })
    const none = resolve({ PINTAIL_ADVICE: 'auto', PINTAIL_MODE: 'observe' }).view.policy
    expect(new Set(Object.values(none.mode))).toEqual(new Set(['observe']))
  })

  test('the service acts on dead servers and on nothing else', () => {
    const { mode } = resolve().view.policy
    expect(mode['server-down']).toBe('auto')
    expect(Object.values(mode).filter((one) => one !== 'observe')).toHaveLength(1)
  })

  test('observe is meant for everything, whatever the file says', () => {
    const PINTAIL_CONFIG = file('policy:\n  mode: { failback: auto, server-down: auto }\n')
    expect(Object.values(resolve({ PINTAIL_CONFIG, PINTAIL_MODE: 'observe' }).view.policy.mode).every((one) => one === 'observe')).toBe(
      true,
    )
    expect(resolve({ PINTAIL_CONFIG, PINTAIL_MODE: 'suggest' }).view.policy.mode).toMatchObject({
      failback: 'auto',
      'server-down': 'suggest',
    })
    expect(resolve({ PINTAIL_CONFIG: file('policy:\n  mode: observe\n') }).view.policy.mode['server-down']).toBe('observe')
  })
})

test('every kind of value reads back what it shows', () => {
  const given = {
    PINTAIL_CANARIES: '1.1.1.1,[2001:db8::1]:53',
    PINTAIL_TCP_PORT: '443',
    PINTAIL_POSTGRES_URL: 'postgres://db.example:5433/pintail',
  }
  const all = resolve({ ...given, PINTAIL_CONFIG: file('') }).values
  for (const name of settingNames) {
    const { kind } = settings[name]
    const shown = (kind.show as (value: unknown) => string)(all[name])
    expect(kind.read(shown), name).toEqual({ ok: true, value: all[name] })
  }
})
