import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NatsConnection } from '@nats-io/transport-node'
import { setUpNats } from '@pintail/adapters/nats'
import { type CommandType, encodeCommand, newCommand, parseResult, type Result } from '@pintail/adapters/regions'
import type { Json } from '@pintail/core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hasNats, type NatsServer, needsNats, startNats } from '../../adapters/test/nats.ts'
import { UapiServer } from '../../adapters/test/uapiServer.ts'
import { eventually, Service } from '../test/service.ts'
import { pintail } from '../test/terminal.ts'

// Real processes over a real broker; what they call is a script with a file for each user.

const script = `#!/bin/sh
cd "$1" || exit 3
case $2 in
grant) while [ -e hold ]; do sleep 0.05; done; mkdir -p "$3"; : >"$3/$4"; echo "$2 $3 $4 $5.$6" >>ledger ;;
revoke) rm -f "$3/$4"; echo "$2 $3 $4 $5.$6" >>ledger ;;
esac
`

/** A public key of WireGuard, as far as its form goes. */
const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64')

describe.skipIf(!hasNats)(`pintail worker ${needsNats}`, () => {
  let server: NatsServer
  let nats: NatsConnection
  let folder: string
  const password = 'a-password-of-the-worker'
  beforeAll(async () => {
    const users = `users: [{ user: test, password: test }, { user: worker, password: "${password}" }]`
    server = await startNats({ config: `authorization { ${users} }` })
    nats = await server.connect({ user: 'test', pass: 'test' })
    await setUpNats(nats)
  }, 240_000)
  afterAll(() => server?.stop(), 240_000)
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pintail-worker-'))
    return () => rmSync(folder, { recursive: true, force: true })
  })

  function env(region: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
    const [daemon, program, config, secret] = ['daemon', 'vpnctl.sh', 'worker.yaml', 'password'].map((name) => join(folder, name))
    mkdirSync(daemon as string, { recursive: true })
    writeFileSync(program as string, script)
    writeFileSync(secret as string, `${password}\n`)
    const argv = (what: string) => ['/bin/sh', program, daemon, what, '{serverId}', '{connectionId}', '{token}', '{epoch}']
    writeFileSync(config as string, JSON.stringify({ command: { grant: argv('grant'), revoke: argv('revoke'), timeoutMs: 200_000 } }))
    return {
      PINTAIL_NATS_URL: server.url,
      PINTAIL_NATS_USER: 'worker',
      PINTAIL_NATS_PASSWORD_FILE: secret as string,
      PINTAIL_REGION: region,
      PINTAIL_HANDLER: 'command',
      PINTAIL_CONFIG: config as string,
      PINTAIL_PORT: '0',
      STATE_DIRECTORY: folder,
      ...more,
    }
  }
  const users = (server: string): string[] => readdirSync(join(folder, 'daemon', server))

  /** Sends a command and waits for its answer. */
  async function ask(type: CommandType, region: string, connectionId: string, epoch: number, payload: Json = null): Promise<Result> {
    const replyTo = 'vpn.reply.test'
    const serverId = `${region}-1`
    const command = newCommand({
      type,
      region,
      serverId,
      connectionId,
      token: 1,
      epoch,
      issuedAt: Date.now(),
      deadline: null,
      replyTo,
      traceId: null,
      payload,
    })
    const answers = nats.subscribe(replyTo)
    try {
      nats.publish(`vpn.cmd.${region}.${serverId}`, encodeCommand(command))
      for await (const message of answers) {
        const result = parseResult(message.data)
        if (result.commandId === command.id) return result
      }
      throw new Error('no answer')
    } finally {
      answers.unsubscribe()
    }
  }

  test('it gives and takes access as it is asked, tells its health and figures, and ends with 0 when it is told to', async () => {
    await using worker = new Service(['worker'], env('de'))
    await worker.says(/^the worker of region de waits for commands/)
    expect(await ask('access.grant', 'de', 'anna', 1)).toMatchObject({ status: 'ok' })
    expect(await ask('access.grant', 'de', 'ben', 1)).toMatchObject({ status: 'ok' })
    expect(users('de-1').toSorted()).toEqual(['anna', 'ben'])
    expect(await ask('access.revoke', 'de', 'anna', 2)).toMatchObject({ status: 'ok' })
    // A grant that comes late cannot undo it.
    expect(await ask('access.grant', 'de', 'anna', 1)).toMatchObject({ status: 'rejected', code: 'STALE' })
    expect(users('de-1')).toEqual(['ben'])
    const { code, body } = await worker.health()
    expect({ code, body }).toMatchObject({ code: 200, body: { ready: true, region: 'de', figures: { applied: 3, stale: 1 } } })
    const port = new URL(await worker.address()).port
    expect(await pintail(['health'], env('de', { PINTAIL_PORT: port }))).toMatchObject({ code: 0, out: 'ready\n' })
    const metrics = await (await fetch(`${await worker.address()}/metrics`)).text()
    expect(metrics).toMatch(/^pintail_worker_applied_total 3$/m)
    expect(metrics).toMatch(/^pintail_worker_in_flight 0$/m)
    worker.kill('SIGTERM')
    expect(await worker.exit()).toBe(0)
    expect(worker.output + worker.stderr).not.toContain(password)
    expect(worker.stderr).toBe('')
  }, 240_000)

  test('SIGTERM lets the command under way finish, answer and be acknowledged; nothing is done a second time by the next run', async () => {
    await using worker = new Service(['worker'], env('nl', { PINTAIL_STOP_TIMEOUT: '200' }))
    await worker.says(/^the worker of region nl waits/)
    // While this is there, a grant is under way.
    const hold = join(folder, 'daemon', 'hold')
    writeFileSync(hold, '')
    const answer = ask('access.grant', 'nl', 'anna', 1)
    await eventually(async () => (await worker.health()).body.figures?.inFlight === 1, 'the command under way', worker)
    worker.kill('SIGTERM')
    await worker.says(/^SIGTERM: stopping; 1 commands under way/)
    rmSync(hold)
    expect(await answer).toMatchObject({ status: 'ok' })
    expect(await worker.exit()).toBe(0)
    await using next = new Service(['worker'], env('nl'))
    await next.says(/^the worker of region nl waits/)
    expect(await ask('access.revoke', 'nl', 'anna', 2)).toMatchObject({ status: 'ok' })
    expect(readFileSync(join(folder, 'daemon', 'ledger'), 'utf8')).toBe('grant nl-1 anna 1.1\nrevoke nl-1 anna 2.2\n'.replace('2.2', '1.2'))
  }, 240_000)

  test('what it has done outlives kill -9: the next run knows what is late', async () => {
    await using first = new Service(['worker'], env('fr'))
    await first.says(/^the worker of region fr waits/)
    expect(await ask('access.revoke', 'fr', 'anna', 5)).toMatchObject({ status: 'ok' })
    first.kill('SIGKILL')
    await first.exit()
    await using next = new Service(['worker'], env('fr'))
    await next.says(/^the worker of region fr waits/)
    expect(await ask('access.grant', 'fr', 'anna', 4)).toMatchObject({ status: 'rejected', code: 'STALE' })
  }, 240_000)

  test('a second worker over the same book is refused, and says why', async () => {
    await using first = new Service(['worker'], env('se'))
    await first.says(/^the worker of region se waits/)
    await using second = new Service(['worker'], env('se'))
    expect(await second.exit()).toBe(1)
    expect(second.output).toMatch(/it could not begin: .*(another process|in use)/)
  }, 240_000)

  test('a broker that goes away makes it not ready, and it goes on by itself', async () => {
    await using worker = new Service(['worker'], env('es'))
    await worker.says(/^the worker of region es waits/)
    await server.down()
    await worker.says(/^NATS at \S+ is away/)
    expect(await worker.health()).toMatchObject({ code: 503, body: { ready: false, reasons: ['broker_away'] } })
    await server.start()
    await worker.says(/^NATS at \S+ is back/)
    expect(await ask('access.grant', 'es', 'anna', 1)).toMatchObject({ status: 'ok' })
    await eventually(async () => (await worker.health()).code === 200, 'ready again', worker)
  }, 240_000)

  test('its WireGuard handler adds and removes peers at the daemon, tells the client what he needs, and refuses a key that is another user’s', async () => {
    await using daemon = await new UapiServer().listen()
    const [serverKey, annaKey] = [key(1), key(2)]
    const config = join(folder, 'wireguard.json')
    const servers = { 'pl-1': { socket: daemon.path, endpoint: 'pl-1.example:51820', publicKey: serverKey } }
    writeFileSync(config, JSON.stringify({ wireguard: { addresses: ['10.7.0.0/16'], dns: ['10.7.0.1'], servers } }))
    await using worker = new Service(['worker'], env('pl', { PINTAIL_HANDLER: 'wireguard', PINTAIL_CONFIG: config }))
    await worker.says(/^the worker of region pl waits/)
    const payload = { publicKey: annaKey, allowedIps: ['10.7.0.2/32'] }
    const granted = await ask('access.grant', 'pl', 'anna', 1, payload)
    expect(granted).toMatchObject({ status: 'ok', payload: { serverId: 'pl-1', dns: ['10.7.0.1'] } })
    expect(JSON.stringify(granted)).toContain(serverKey)
    expect([...daemon.peers.keys()]).toEqual([annaKey])
    expect(await ask('access.grant', 'pl', 'mallory', 1, payload)).toMatchObject({
      status: 'rejected',
      message: expect.stringContaining('KEY_TAKEN'),
    })
    expect(await ask('access.revoke', 'pl', 'anna', 2)).toMatchObject({ status: 'ok' })
    expect([...daemon.peers.keys()]).toEqual([])
  }, 240_000)

  test('check says whether the broker lets us in, and what waits there', async () => {
    const { PINTAIL_NATS_URL = '', PINTAIL_NATS_USER = '', PINTAIL_NATS_PASSWORD_FILE = '' } = env('fi')
    const all = { PINTAIL_NATS_URL, PINTAIL_NATS_USER, PINTAIL_NATS_PASSWORD_FILE }
    expect(await pintail(['check', '--nats'], all)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^nats \S+ up: answered in .*VPN_CMD has \d+ message/),
    })
    const json = await pintail(['check', '--nats', '--json'], { ...all, PINTAIL_NATS_PREFIX: 'other' })
    expect(JSON.parse(json.out)).toMatchObject({ ok: true, streams: { OTHER_CMD: null } })
    const nobody = await pintail(['check', '--nats'], { PINTAIL_NATS_URL, PINTAIL_NATS_USER: 'worker', PINTAIL_NATS_PASSWORD: 'hunter2' })
    expect(nobody).toMatchObject({ code: 1, out: expect.stringMatching(/^nats \S+ down .*lets nobody in/) })
    expect(nobody.out + nobody.err).not.toContain('hunter2')
    expect(await pintail(['check', '--nats'])).toMatchObject({ code: 1, err: expect.stringContaining('PINTAIL_NATS_URL') })
  }, 240_000)

  test.each([
    [
      'a wrong password',
      { PINTAIL_NATS_PASSWORD_FILE: '', PINTAIL_NATS_PASSWORD: 'hunter2-is-wrong' },
      /lets nobody in.*PINTAIL_NATS_CREDS/,
    ],
    ['a file that is not there', { PINTAIL_NATS_PASSWORD_FILE: '/nowhere/password' }, /PINTAIL_NATS_PASSWORD_FILE cannot be read: ENOENT/],
    ['no broker', { PINTAIL_NATS_URL: 'nats://127.0.0.1:9' }, /does not answer.*PINTAIL_NATS_URL/],
    ['no place for the book', { PINTAIL_BOOK: '/dev/null/book.db' }, /there is no place for .*PINTAIL_BOOK/],
  ])(
    '%s ends it with 1 and what to do, and shows no secret',
    async (_what, more, said) => {
      const all = Object.entries(env('it', more)).filter(([, value]) => value !== '')
      await using worker = new Service(['worker'], Object.fromEntries(all))
      expect(await worker.exit()).toBe(1)
      expect(worker.output).toMatch(said)
      expect(worker.output + worker.stderr).not.toMatch(/hunter2|a-password/)
    },
    240_000,
  )
})
