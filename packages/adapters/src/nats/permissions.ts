import { PintailError } from '@pintail/core'
import { durableOf } from './durable.ts'
import { fleetSubjects } from './fleet.ts'
import { encodeToken, natsSubjects } from './subjects.ts'

export type NatsRole =
  /** Publishes commands, reads answers, events, dead letters and samples, and makes the streams. */
  | { readonly role: 'engine'; readonly name: string }
  /** Reads the commands of its own region (or of its own servers there) and answers them. */
  | { readonly role: 'worker'; readonly region: string; readonly servers?: readonly string[] }
  /** Publishes its own samples, and reads what it has to probe. */
  | { readonly role: 'vantage'; readonly name: string }

/** The `permissions` of a user in nats-server.conf (JSON is valid there), and what its connection needs. */
export interface NatsPermissions {
  readonly publish: { readonly allow: readonly string[] }
  readonly subscribe: { readonly allow: readonly string[] }
  /** Whoever is asked may answer, once. */
  readonly allow_responses?: true
  /**
   * To be given to `connect({ inboxPrefix })`: answers of the broker come to subjects that begin with it. One for each user: with the
   * common `_INBOX` a worker could read what the broker sends to another.
   */
  readonly inboxPrefix: string
}

/**
 * What a user needs and no more. A worker cannot read another region's commands, nor make a consumer over them, nor publish
 * commands; a vantage can publish its own samples alone.
 *
 * @throws PintailError `invalid_options`
 */
export function natsPermissions(role: NatsRole, { prefix }: { readonly prefix?: string } = {}): NatsPermissions {
  const subjects = natsSubjects(prefix)
  const root = subjects.prefix
  const { commands, dead, samples } = subjects.streams
  const inboxPrefix = `_INBOX_${root.replaceAll('.', '_')}_${nameOf(role)}`
  const subscribe = { allow: [`${inboxPrefix}.>`] }
  const fleet = fleetSubjects(root)
  if (role.role === 'engine')
    return {
      publish: {
        allow: [
          subjects.commands(),
          fleet.look,
          '$JS.API.INFO',
          ...[commands, dead, samples].flatMap((stream) => [
            ...['CREATE', 'UPDATE', 'INFO', 'MSG.GET'].map((call) => `$JS.API.STREAM.${call}.${stream}`),
            ...['CREATE', 'DELETE', 'INFO', 'MSG.NEXT', 'DURABLE.CREATE'].map((call) => `$JS.API.CONSUMER.${call}.${stream}.>`),
            `$JS.API.CONSUMER.CREATE.${stream}`,
            `$JS.API.CONSUMER.NAMES.${stream}`,
            `$JS.API.CONSUMER.LIST.${stream}`,
            `$JS.ACK.${stream}.>`,
            `$JS.FC.${stream}.>`,
          ]),
        ],
      },
      subscribe: { allow: [...subscribe.allow, `${root}.reply.*`, subjects.events(), fleet.list] },
      // Vantages ask which servers there are, each on an inbox of its own.
      allow_responses: true,
      inboxPrefix,
    }
  if (role.role === 'vantage')
    return {
      publish: { allow: [subjects.sample(role.name), fleet.list] },
      subscribe: { allow: [...subscribe.allow, fleet.look] },
      inboxPrefix,
    }
  const { region } = role
  const consumers = (role.servers ?? [null]).map((server) => ({
    durable: durableOf(region, server),
    filter: server === null ? subjects.commands(region) : subjects.command(region, server),
  }))
  return {
    publish: {
      allow: [
        ...consumers.flatMap(({ durable, filter }) => [
          // The filter is part of the subject, and the broker compares it with what is asked for.
          `$JS.API.CONSUMER.CREATE.${commands}.${durable}.${filter}`,
          `$JS.API.CONSUMER.INFO.${commands}.${durable}`,
          `$JS.API.CONSUMER.MSG.NEXT.${commands}.${durable}`,
          `$JS.ACK.${commands}.${durable}.>`,
        ]),
        `${root}.reply.*`,
        subjects.events(region),
        subjects.dead(region),
      ],
    },
    subscribe,
    inboxPrefix,
  }
}

function nameOf(role: NatsRole): string {
  if (role.role === 'worker') return `worker_${encodeToken(role.region)}`
  if (role.role === 'engine' || role.role === 'vantage') return `${role.role}_${encodeToken(role.name)}`
  throw new PintailError('invalid_options', 'role: must be engine, worker or vantage')
}
