import { randomUUID } from 'node:crypto'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core'
import type { Json } from '@pintail/core'
import { natsSubjects } from '../src/nats/subjects.ts'
import type { Access, Listed, RegionHandler } from '../src/regions/handler.ts'
import {
  type Command,
  type CommandType,
  encodeCommand,
  newCommand,
  parseEvent,
  parseResult,
  type Result,
  type WorkerEvent,
} from '../src/regions/messages.ts'

/** What a test asks for; everything else has a value. */
export type Asked = Partial<Omit<Command, 'issuedAt' | 'deadline'>> & {
  readonly issuedAt?: number
  readonly deadline?: number | null
}

/** A command of region `de`, server `de-1` and connection `c1`, unless something else is asked for. */
export function commandOf({ type = 'access.grant', ...asked }: Asked = {}): Command {
  const issuedAt = asked.issuedAt ?? Date.now()
  return {
    ...newCommand({
      type,
      region: 'de',
      serverId: 'de-1',
      connectionId: type === 'access.sync' ? '*' : 'c1',
      token: 1,
      epoch: 1,
      replyTo: null,
      traceId: null,
      payload: null,
      ...asked,
      issuedAt,
      deadline: asked.deadline === undefined ? issuedAt + 60_000 : asked.deadline,
    }),
    ...(asked.idempotencyKey === undefined ? {} : { idempotencyKey: asked.idempotencyKey }),
  }
}

export const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))

/** Servers that are not there: who has access, and every call that was made. */
export interface FakeServers extends RegionHandler {
  readonly calls: string[]
  /** `<serverId>/<connectionId>`, and with what. */
  readonly granted: Map<string, Json>
  /** Peers that nobody has asked for, by server. */
  readonly strangers: Map<string, number>
  /** Called before each effect: may throw, or wait. */
  before: (what: string, access: Access, signal: AbortSignal) => Promise<void> | void
}

export function fakeServers(): FakeServers {
  const granted = new Map<string, Json>()
  const calls: string[] = []
  const strangers = new Map<string, number>()
  const key = ({ serverId, connectionId }: Access): string => `${serverId}/${connectionId}`
  const noted = async (what: string, access: Access, signal: AbortSignal): Promise<void> => {
    await servers.before(what, access, signal)
    calls.push(`${what} ${key(access)} ${access.token}.${access.epoch}`)
  }
  const servers: FakeServers = {
    calls,
    granted,
    strangers,
    before: () => {},
    grant: async (access, { signal }) => {
      await noted('grant', access, signal)
      granted.set(key(access), access.payload)
      return { address: `10.0.0.1/${access.connectionId}` }
    },
    revoke: async (access, { signal }) => {
      await noted('revoke', access, signal)
      granted.delete(key(access))
    },
    list: async (serverId): Promise<readonly Listed[]> => [
      ...[...granted]
        .filter(([one]) => one.startsWith(`${serverId}/`))
        .map(([one, payload]) => ({ connectionId: one.slice(serverId.length + 1), payload })),
      ...Array.from({ length: strangers.get(serverId) ?? 0 }, () => ({ connectionId: null, payload: null })),
    ],
    check: async (access) => granted.has(key(access)),
  }
  return servers
}

/** The engine's side as a test needs it: publishes, and keeps every answer and event. */
export interface Desk {
  readonly nats: NatsConnection
  readonly replyTo: string
  readonly results: Result[]
  readonly events: WorkerEvent[]
  send(command: Command, options?: { readonly timeout?: number }): Promise<void>
  /** Publishes with the desk's reply subject, and resolves with the first answer to it. */
  ask(asked: Asked & { readonly type?: CommandType }): Promise<Result>
  /** The first answer to a command, once it is there. */
  answer(commandId: string): Promise<Result>
  /** Messages that wait in the commands. */
  waiting(): Promise<number>
}

export async function deskOn(nats: NatsConnection, prefix?: string): Promise<Desk> {
  const subjects = natsSubjects(prefix)
  const stream = jetstream(nats)
  const replyTo = subjects.reply(randomUUID())
  const results: Result[] = []
  const events: WorkerEvent[] = []
  const wanted = new Map<string, (result: Result) => void>()
  nats.subscribe(replyTo, {
    callback: (_, message) => {
      const result = parseResult(message.data)
      results.push(result)
      wanted.get(result.commandId)?.(result)
    },
  })
  nats.subscribe(subjects.events(), { callback: (_, message) => void events.push(parseEvent(message.data)) })
  await nats.flush()
  const desk: Desk = {
    nats,
    replyTo,
    results,
    events,
    send: async (command, { timeout = 25_000 } = {}) =>
      void (await stream.publish(subjects.command(command.region, command.serverId), encodeCommand(command), {
        msgID: command.id,
        timeout,
      })),
    ask: async (asked) => {
      const command = commandOf({ replyTo, ...asked })
      const answered = desk.answer(command.id)
      await desk.send(command)
      return answered
    },
    answer: (commandId) => {
      const found = results.find((one) => one.commandId === commandId)
      return found ? Promise.resolve(found) : new Promise((resolve) => void wanted.set(commandId, resolve))
    },
    waiting: async () => {
      const manager = await jetstreamManager(nats)
      return (await manager.streams.info(subjects.streams.commands)).state.messages
    },
  }
  return desk
}
