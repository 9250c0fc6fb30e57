// Three servers, each with a worker of its own beside it, a broker and an engine: all of them processes, each in its place.
// One of the users is real and pings through his tunnel; updates of the engine's notifier reach him as a host would deliver them.
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ClientUpdate } from '@pintail/adapters/wireguard'
import { firstLine } from './children.ts'
import type { NatsVantageLine, NatsVantageSetting } from './natsVantage.ts'
import { newKeys } from './wireguard.ts'
import { Bell, type Client, linkOf, startClient, startServer, tunnelNetwork, type VpnServer, vpnPort } from './wireguardFleet.ts'
import type { EngineSetting, ServerWord, WorkerSetting } from './wireguardWords.ts'
import { makeWorld, type World } from './world.ts'

interface Told {
  readonly type: string
  readonly at: number
  // biome-ignore lint/suspicious/noExplicitAny: the payloads of all events, as they come over a pipe
  readonly data: any
}

export interface Scene {
  readonly world: World
  readonly servers: readonly VpnServer[]
  readonly client: Client
  /** The real user is `u1`; the others only have their peers. */
  readonly users: readonly string[]
  server(id: string): VpnServer
  /** Everything that the engine has told of this kind. */
  told(type: string): readonly Told[]
  /** The first of this kind; with `after` one that was read later than that, milliseconds since 1970. */
  until(type: string, matches?: (data: Told['data']) => boolean, after?: number): Promise<Told>
  /** A line to the engine, and its answer of this kind. */
  ask(line: string, answer: string): Promise<Told['data']>
  tell(line: string): void
  /** How the real user's device follows an update: at once, or between two pings. The engine hears of it, and waits. */
  following: (follow: () => Promise<void>) => Promise<void>
  /** Where the books say that the real user is. */
  home(): Promise<string>
  end(): Promise<void>
}

const tunnelAddress = (index: number): string => `10.7.${1 + (index >> 8)}.${index & 255}`

export interface SceneOptions {
  /** Users beside the real one, spread over the servers. Default none. */
  readonly others?: number
  /** Where the real user is, with two vantages there, `<region>1` and `<region>2`. Default: not known, and none but the engine's own. */
  readonly region?: string
  /** Default: the engine's own, a day. */
  readonly revokeGraceMs?: number
}

export async function startScene(options: SceneOptions = {}): Promise<Scene> {
  const world = await makeWorld()
  try {
    return await built(world, options)
  } catch (error) {
    await world.destroy()
    throw error
  }
}

async function built(world: World, { others = 0, region, revokeGraceMs }: SceneOptions): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-scene-'))
  world.leaves(folder)
  const probe = newKeys()
  const servers: VpnServer[] = []
  for (const [index, id] of ['de1', 'nl1', 'fr1'].entries())
    servers.push(await startServer(world, id, index + 1, [{ publicKey: probe.publicKey }]))
  const client = await startClient(world, 'client', '10.7.0.5')
  world.spawn('router', 'nats-server', '-a', '0.0.0.0', '-p', '4222', '-js', '-sd', join(folder, 'streams'), '-l', join(folder, 'nats.log'))
  const brokerFor = async (place: string) => `${(await linkOf(world, place))[1]}:4222`
  const words = servers.map(
    ({ id, host, wireguard }): ServerWord => ({ id, host, publicKey: wireguard.keys.publicKey, interface: wireguard.name }),
  )
  const users = [
    { id: 'u1', home: 'de1', publicKey: client.keys.publicKey, allowedIps: [`${client.address}/32`], ...(region && { region }) },
    ...Array.from({ length: others }, (_, index) => ({
      id: `u${index + 2}`,
      home: words[index % words.length]?.id ?? '',
      publicKey: newKeys().publicKey,
      allowedIps: [`${tunnelAddress(index)}/32`],
    })),
  ]
  const vantages = region === undefined ? [] : [`${region}1`, `${region}2`]
  for (const name of vantages) await world.addVantage(name)
  const setting: EngineSetting = {
    broker: await brokerFor('prober'),
    servers: words,
    port: vpnPort,
    users,
    probeKey: probe.privateKey,
    ...(region && { vantages: Object.fromEntries(vantages.map((name) => [name, region])) }),
    ...(revokeGraceMs !== undefined && { revokeGraceMs }),
  }
  const engine = world.node('prober', 'lab/wireguardEngine.ts', JSON.stringify(setting))
  const told: Told[] = []
  const bell = new Bell()
  let lastUpdate: Promise<void> = Promise.resolve()
  createInterface({ input: engine.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const one: Told = { ...JSON.parse(line), at: Date.now() }
    told.push(one)
    const update = one.data as ClientUpdate
    if (one.type === 'update' && update.connectionId === 'u1')
      lastUpdate = lastUpdate.then(() => scene.following(() => client.follow(update))).then(() => tell('followed'))
    bell.ring()
  })
  engine.once('exit', () => bell.ring())
  const find = async (matches: (one: Told) => boolean, from = 0): Promise<Told> => {
    for (;;) {
      const found = told.slice(from).find(matches)
      if (found) return found
      if (engine.exitCode !== null) throw new Error(`the engine has ended with ${engine.exitCode}`)
      await bell.rings()
    }
  }
  const tell = (line: string): void => void engine.stdin?.write(`${line}\n`)
  const ask = async (line: string, answer: string) => {
    const from = told.length
    tell(line)
    return (await find(({ type }) => type === answer, from)).data
  }
  const workers = await Promise.all(
    words.map(async (server) => {
      const setting: WorkerSetting = { broker: await brokerFor(server.id), server, port: vpnPort, network: tunnelNetwork, folder }
      const child = world.node(server.id, 'lab/wireguardWorker.ts', JSON.stringify(setting))
      await firstLine(child)
      return child
    }),
  )
  const watching = await Promise.all(
    vantages.map(async (name) => {
      const setting: NatsVantageSetting = { name, nats: await brokerFor(name), prober: 'icmp', detect: {} }
      const child = world.node(name, 'lab/natsVantage.ts', JSON.stringify(setting))
      await new Promise<void>((resolve, reject) => {
        child.once('exit', () => reject(new Error(`${name} has ended`)))
        createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
          // It has seen every server, and the broker has its word.
          if ((JSON.parse(line) as NatsVantageLine).sent >= 2 * words.length) resolve()
        })
      })
      return child
    }),
  )
  const scene: Scene = {
    world,
    servers,
    client,
    users: users.map(({ id }) => id),
    server: (id) => servers.find((one) => one.id === id) as VpnServer,
    told: (type) => told.filter((one) => one.type === type),
    until: (type, matches = () => true, after = 0) => find((one) => one.type === type && one.at > after && matches(one.data)),
    ask,
    tell,
    following: (follow) => follow(),
    home: async () => (await ask('homes', 'homes')).u1,
    async end() {
      for (const child of [engine, ...workers, ...watching]) {
        const gone = child.exitCode === null ? once(child, 'exit') : null
        child.stdin?.end()
        await gone
      }
      await world.destroy()
    },
  }
  await find(({ type, data }) => type === 'server.verdict_changed' && data.verdict === 'up' && data.serverId === 'fr1')
  for (const { id } of words)
    await find(({ type, data }) => type === 'server.verdict_changed' && data.verdict === 'up' && data.serverId === id)
  // The workers' books are empty: the first sync grants everybody what the books say.
  await ask('sync', 'synced')
  const de1 = scene.server('de1')
  await client.connect({
    ...{ serverId: 'de1', publicKey: client.keys.publicKey, address: [], dns: [], mtu: null },
    server: {
      publicKey: de1.wireguard.keys.publicKey,
      endpoint: `${de1.host}:${vpnPort}`,
      allowedIps: [tunnelNetwork],
      persistentKeepalive: 25,
    },
  })
  return scene
}
