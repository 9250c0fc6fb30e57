import { readFileSync } from 'node:fs'
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node'
import { errorText, PintailError } from '@pintail/core'
import type { Logger } from 'pino'
import type { NatsValues } from './settings/nats.ts'

/** For the first connection, milliseconds: a broker that is away at the start ends the process, and Docker or systemd starts it again. */
const connectMs = 10_000
/** Between two tries to come back, milliseconds, with as much again by chance: a broker that returns is not run over. */
const reconnectMs = 1000

/** Who connects, for the broker's own lists and for the inbox that permissions name. */
export interface NatsRole {
  /** `pintail worker de` */
  readonly name: string
  readonly inboxPrefix: string
  readonly onReconnect?: (nats: NatsConnection) => void
}

export interface Broker extends AsyncDisposable {
  readonly nats: NatsConnection
  /** Where it is, without who one is there. */
  readonly where: string
  isConnected(): boolean
}

/**
 * A connection to the broker of the settings, which comes back by itself for ever; the log says when it goes and when it is back.
 * @throws PintailError `unavailable` with a remedy, if there is none within ten seconds or it lets nobody in
 */
export async function connectNats(values: NatsValues, role: NatsRole, logger?: Logger): Promise<Broker> {
  const where = values.natsUrl.join(', ')
  const options = optionsOf(values, role)
  // Only who speaks NATS pays for loading it.
  const { connect, credsAuthenticator } = await import('@nats-io/transport-node')
  const creds = values.natsCreds === '' ? null : credsAuthenticator(secretFile('PINTAIL_NATS_CREDS', values.natsCreds))
  let nats: NatsConnection
  try {
    nats = await connect({ ...options, ...(creds && { authenticator: creds }) })
  } catch (error) {
    throw unreachable(where, error)
  }
  let isConnected = true
  const watching = watch(nats, where, logger, (is) => {
    if (is && !isConnected) role.onReconnect?.(nats)
    isConnected = is
  })
  return {
    nats,
    where,
    isConnected: () => isConnected && !nats.isClosed(),
    [Symbol.asyncDispose]: async () => {
      // What was published is handed over; a broker that is away is not waited for.
      const drained = isConnected ? nats.drain().catch(() => {}) : Promise.resolve()
      await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, 2000).unref())])
      await nats.close().catch(() => {})
      await watching
    },
  }
}

function optionsOf(values: NatsValues, { name, inboxPrefix }: NatsRole): NodeConnectionOptions {
  const { natsUrl, natsUser, natsPassword, natsPasswordFile, natsCa } = values
  const isTls = natsCa !== '' || natsUrl.some((url) => url.startsWith('tls:'))
  const pass = natsPasswordFile === '' ? natsPassword : secretFile('PINTAIL_NATS_PASSWORD_FILE', natsPasswordFile).toString('utf8').trim()
  return {
    servers: natsUrl.map((url) => url.replace(/^\w+:\/\//, '')),
    name,
    inboxPrefix,
    ...(natsUser !== '' && { user: natsUser, pass }),
    ...(isTls && { tls: natsCa === '' ? {} : { ca: secretFile('PINTAIL_NATS_CA', natsCa).toString('utf8') } }),
    timeout: connectMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectMs,
    reconnectJitter: reconnectMs,
    reconnectJitterTLS: reconnectMs,
    // A password that is being replaced is no reason to give up for ever.
    ignoreAuthErrorAbort: true,
    pingInterval: 10_000,
    maxPingOut: 3,
  }
}

function secretFile(variable: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new PintailError('unavailable', `the file of ${variable} cannot be read: ${code ?? 'unknown'}`, {
      cause: error,
      remedy: 'Check the path, and let the user that runs pintail read it.',
    })
  }
}

function unreachable(where: string, error: unknown): PintailError {
  const name = error instanceof Error ? error.name : ''
  const text = errorText(error)
  const isRefused = name === 'AuthorizationError' || /authorization|authentication/i.test(text)
  const remedy = isRefused
    ? 'Check PINTAIL_NATS_CREDS, or PINTAIL_NATS_USER and its password.'
    : 'Check PINTAIL_NATS_URL, and that the server runs; in a private network PINTAIL_NATS_CA names who signs its certificate.'
  const what = isRefused ? 'lets nobody in by these credentials' : `does not answer: ${text}`
  return new PintailError('unavailable', `NATS at ${where} ${what}`, { cause: error, remedy })
}

/** Until the connection is closed. */
async function watch(nats: NatsConnection, where: string, logger: Logger | undefined, set: (isConnected: boolean) => void): Promise<void> {
  let awaySince: number | null = null
  for await (const status of nats.status()) {
    if (status.type === 'disconnect') {
      set(false)
      if (awaySince === null) logger?.warn({ where }, `NATS at ${where} is away; it is asked again and again`)
      awaySince ??= performance.now()
    } else if (status.type === 'reconnect') {
      set(true)
      const away = awaySince === null ? '' : ` after ${Math.round((performance.now() - awaySince) / 1000)} s`
      awaySince = null
      logger?.info({ where }, `NATS at ${where} is back${away}`)
    } else if (status.type === 'error') {
      const { message } = status.error
      logger?.warn(
        { where, remedy: 'See the permissions in the README of @pintail/adapters.' },
        `NATS at ${where} refuses: ${message.slice(0, 300)}`,
      )
    } else if (status.type === 'close') set(false)
  }
}
