import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasNats, type NatsServer, needsNats, startNats } from '../../test/nats.ts'
import { commandOf, type Desk, deskOn, fakeServers } from '../../test/region.ts'
import { encodeCommand } from '../regions/messages.ts'
import { natsFailure } from './failure.ts'
import { type NatsRole, natsPermissions } from './permissions.ts'
import { setUpNats } from './setUp.ts'
import { type NatsWorkerOptions, type RunningWorker, runRegionWorker } from './worker.ts'

const roles = {
  engine: { role: 'engine', name: 'ctl-1' },
  de: { role: 'worker', region: 'de' },
  nl: { role: 'worker', region: 'nl' },
  'fr-1': { role: 'worker', region: 'fr', servers: ['fr-1'] },
  vantage: { role: 'vantage', name: 'tehran' },
} satisfies Record<string, NatsRole>
type User = keyof typeof roles

const password = 'pw'
const config = `authorization { users: ${JSON.stringify(
  Object.entries(roles).map(([user, role]) => {
    const { publish, subscribe } = natsPermissions(role)
    return { user, password, permissions: { publish, subscribe } }
  }),
)} }`

describe.skipIf(!hasNats)(`users with the permissions of their role ${needsNats}`, () => {
  let server: NatsServer
  let engine: NatsConnection
  let desk: Desk
  const workers: RunningWorker[] = []
  const as = (user: User): Promise<NatsConnection> =>
    server.connect({ user, pass: password, inboxPrefix: natsPermissions(roles[user]).inboxPrefix })
  const work = async (user: User, options: Omit<NatsWorkerOptions, 'nats' | 'handler'>): Promise<RunningWorker> => {
    const worker = await runRegionWorker({ nats: await as(user), handler: fakeServers(), ...options })
    workers.push(worker)
    return worker
  }
  beforeAll(async () => {
    server = await startNats({ config })
    engine = await as('engine')
    await setUpNats(engine)
    desk = await deskOn(engine)
  })
  afterAll(async () => {
    await Promise.all(workers.map((one) => one.stop(0)))
    await server?.stop()
  })

  test('do all of their own work', async () => {
    const [de] = [
      await work('de', { region: 'de' }),
      await work('nl', { region: 'nl' }),
      await work('fr-1', { region: 'fr', servers: ['fr-1'] }),
    ]
    for (const [region, serverId] of [
      ['de', 'de-1'],
      ['nl', 'nl-1'],
      ['fr', 'fr-1'],
    ] as const)
      expect(await desk.ask({ region, serverId, replyTo: desk.replyTo })).toMatchObject({ status: 'ok' })
    const started = () => desk.events.filter(({ type }) => type === 'worker.started').map(({ region }) => region)
    await expect.poll(() => started().sort()).toEqual(['de', 'fr', 'nl'])
    await jetstream(engine).publish('vpn.cmd.de.de-1', '{')
    await expect.poll(() => desk.events.some(({ type }) => type === 'dead_letter')).toBe(true)
    expect(de.figures().dead).toBe(1)
    expect(await jetstream(await as('vantage')).publish('vpn.samples.tehran', 'x')).toMatchObject({ stream: 'VPN_SAMPLES' })
  })

  test("a worker cannot read another region's commands, nor make a consumer over them, nor publish commands", async () => {
    await expect(work('de', { region: 'nl' })).rejects.toMatchObject({ code: 'rejected', remedy: expect.stringMatching(/natsPermissions/) })
    const nats = await as('de')
    const manager = await jetstreamManager(nats, { checkAPI: false, timeout: 60_000 })
    const refused = async (what: string, attempt: () => Promise<unknown>): Promise<void> => {
      await expect(
        attempt().catch((error) => Promise.reject(natsFailure(error, what))),
        what,
      ).rejects.toMatchObject({ code: 'rejected' })
    }
    const filter = { ack_policy: 'explicit', filter_subject: 'vpn.cmd.nl.>' } as const
    await refused('a consumer of its own over another region', () => manager.consumers.add('VPN_CMD', { ...filter, name: 'mine' }))
    await refused('the other consumer', () => manager.consumers.add('VPN_CMD', { ...filter, durable_name: 'worker-nl' }))
    await refused('its own consumer over another region', () => manager.consumers.add('VPN_CMD', { ...filter, durable_name: 'worker-de' }))
    await refused('its own consumer over everything', () =>
      manager.consumers.add('VPN_CMD', { ack_policy: 'explicit', durable_name: 'worker-de' }),
    )
    await refused('taking the other consumer away', () => manager.consumers.delete('VPN_CMD', 'worker-nl'))
    await refused('taking its own away', () => manager.consumers.delete('VPN_CMD', 'worker-de'))
    await refused('reading by number', () => manager.streams.getMessage('VPN_CMD', { seq: 1 }))
    await refused('purging', () => manager.streams.purge('VPN_CMD'))
    await refused('the names of subjects', () => manager.streams.info('VPN_CMD', { subjects_filter: '>' }))
    await refused('commands', () =>
      jetstream(nats, { timeout: 60_000 }).publish('vpn.cmd.nl.nl-1', encodeCommand(commandOf({ region: 'nl', serverId: 'nl-1' }))),
    )
    await refused('its own commands', () => jetstream(nats, { timeout: 60_000 }).publish('vpn.cmd.de.de-1', 'x'))
    await refused('samples', () => jetstream(nats, { timeout: 60_000 }).publish('vpn.samples.tehran', 'x'))
  })

  test('its own consumer cannot be made over another region by an untrue subject', async () => {
    const nats = await as('de')
    const body = {
      stream_name: 'VPN_CMD',
      config: { durable_name: 'worker-de', name: 'worker-de', ack_policy: 'explicit', filter_subject: 'vpn.cmd.nl.>' },
    }
    const answer = await nats.request('$JS.API.CONSUMER.CREATE.VPN_CMD.worker-de.vpn.cmd.de.>', JSON.stringify(body), { timeout: 60_000 })
    expect(answer.json<{ readonly error?: { readonly code: number } }>().error?.code).toBe(400)
  })

  test('nobody hears what is meant for another', async () => {
    const heard: string[] = []
    for (const user of ['de', 'vantage'] as const) {
      const nats = await as(user)
      for (const subject of [
        'vpn.cmd.>',
        'vpn.reply.>',
        'vpn.evt.>',
        'vpn.samples.>',
        '_INBOX.>',
        natsPermissions(roles.nl).inboxPrefix.concat('.>'),
        '>',
      ])
        nats.subscribe(subject, { callback: (error, message) => void heard.push(error ? `${subject} refused` : message.subject) })
      await nats.flush()
    }
    await expect.poll(() => heard.length).toBe(14)
    expect(await desk.ask({ region: 'nl', serverId: 'nl-1', epoch: 2 })).toMatchObject({ status: 'ok' })
    expect(heard.filter((one) => !one.endsWith('refused'))).toEqual([])
  })

  test('a vantage publishes its own samples and nothing else', async () => {
    const stream = jetstream(await as('vantage'), { timeout: 60_000 })
    for (const subject of ['vpn.samples.berlin', 'vpn.cmd.de.de-1', 'vpn.reply.ctl-1', 'vpn.evt.de.de-1', 'vpn.dead.de'])
      await expect(stream.publish(subject, 'x'), subject).rejects.toThrow(/Permissions Violation/)
  })
})

test('two users never share an inbox, and no id gets out of its permissions', () => {
  const all = [...Object.values(roles), { role: 'vantage', name: '*' } as const, { role: 'worker', region: 'a.>' } as const]
  expect(new Set(all.map((role) => natsPermissions(role).inboxPrefix)).size).toBe(all.length)
  const { publish, subscribe, inboxPrefix } = natsPermissions({ role: 'worker', region: 'a.>' })
  expect(inboxPrefix).toBe('_INBOX_vpn_worker_a=2E=3E')
  expect(publish.allow).toContain('vpn.dead.a=2E=3E')
  expect([...publish.allow, ...subscribe.allow].filter((one) => /a\.>/.test(one))).toEqual([])
})
