// What must be so in the end, whatever was killed when: read from the daemons' own files, the books, the commands that were
// written down before they were sent, and the journal. No engine and no worker is asked.
import { judgeJournal } from '@pintail/core/testing'
import { expect } from 'vitest'
import type { Scene } from './scene.ts'
import type { Change, Sent } from './words.ts'

export interface Findings {
  readonly changes: number
  readonly effective: number
  readonly commands: number
  readonly moves: number
}

export async function judge(scene: Scene, users: number): Promise<Findings> {
  const [homes, { grants, ledger }, sent, journal] = [await scene.homes(), scene.reality(), scene.sent(), await scene.journal()]
  oneGrant(homes, grants, scene.town.dead, users)
  nothingStale(ledger)
  ledgerHolds(ledger, grants)
  everyChangeHasCommand(ledger, sent)
  const moves = journal.filter(({ type }) => type === 'move.started').map(({ data }) => data as Started)
  everyCommandHasIntent(sent, moves)
  expect(
    journal.flatMap(({ seq }, index) => (seq === index + 1 ? [] : seq)),
    'the journal has no gap',
  ).toEqual([])
  expect(judgeJournal(journal), 'the journal breaks no rule').toEqual([])
  return {
    changes: ledger.length,
    effective: ledger.filter(({ isEffective }) => isEffective).length,
    commands: sent.length,
    moves: journal.filter(({ type }) => type === 'connection.moved').length,
  }
}

interface Started {
  readonly connectionId: string
  readonly fromServerId: string
  readonly toServerId: string
  readonly fencingToken: number
}

type Grants = ReadonlyMap<string, ReadonlySet<string>>

function oneGrant(homes: ReadonlyMap<string, string>, grants: Grants, dead: readonly string[], users: number): void {
  expect(homes.size, 'the books have everybody').toBe(users)
  const on = new Map<string, string[]>()
  for (const [server, of] of grants) for (const user of of) on.set(user, [...(on.get(user) ?? []), server])
  const wrong = [...homes].filter(([user, home]) => dead.includes(home) || on.get(user)?.join() !== home)
  expect(
    wrong.slice(0, 20).map(([user, home]) => `${user}: home ${home}, access on ${on.get(user)?.join() ?? 'none'}`),
    `each user has exactly one grant, at a home that lives (${wrong.length} have not)`,
  ).toEqual([])
  expect(
    [...on.keys()].filter((user) => !homes.has(user)),
    'nobody unknown has access',
  ).toEqual([])
}

const keyOf = ({ server, connection }: Pick<Change, 'server' | 'connection'>): string => `${connection} ${server}`
const isOlder = (one: { token: number; epoch: number }, other: { token: number; epoch: number }): boolean =>
  one.token < other.token || (one.token === other.token && one.epoch < other.epoch)

function nothingStale(ledger: readonly Change[]): void {
  const newest = new Map<string, Change>()
  const stale: string[] = []
  for (const change of ledger) {
    const before = newest.get(keyOf(change))
    if (before && isOlder(change, before)) stale.push(`${textOf(change)} after ${textOf(before)}`)
    else newest.set(keyOf(change), change)
  }
  expect(stale.slice(0, 20), `nothing stale was applied (${stale.length} times)`).toEqual([])
}

const textOf = ({ what, server, connection, token, epoch }: Change): string => `${what} ${connection} ${server} ${token}.${epoch}`

function ledgerHolds(ledger: readonly Change[], grants: Grants): void {
  const last = new Map(ledger.map((change) => [keyOf(change), change.what]))
  const wrong = [...last].filter(([key, what]) => {
    const [connection = '', server = ''] = key.split(' ')
    return (grants.get(server)?.has(connection) ?? false) !== (what === 'grant')
  })
  expect(wrong.slice(0, 20), 'what is there is what the ledger says').toEqual([])
}

/** By its own command, or by a sync of its server that was sent. */
function everyChangeHasCommand(ledger: readonly Change[], sent: readonly Sent[]): void {
  const own = new Set(sent.map((one) => `${one.type} ${keyOf(one)} ${one.token}.${one.epoch}`))
  const wanted = new Set<string>()
  const synced = new Map<string, Sent[]>()
  for (const one of sent) {
    if (one.type !== 'access.sync') continue
    for (const [connection] of one.entries ?? []) wanted.add(`${connection} ${one.server}`)
    synced.set(one.server, [...(synced.get(one.server) ?? []), one])
  }
  const seen = new Map<string, Change>()
  const unexplained = ledger.filter((change) => {
    const before = seen.get(keyOf(change))
    seen.set(keyOf(change), change)
    if (own.has(`access.${change.what} ${keyOf(change)} ${change.token}.${change.epoch}`)) return false
    if (change.what === 'grant') return !wanted.has(keyOf(change))
    // At the mark of the sync, or at what the worker knew where that is newer.
    const isAtMark = (synced.get(change.server) ?? []).some(({ token, epoch }) => token === change.token && epoch === change.epoch)
    return !isAtMark && !(before && before.token === change.token && before.epoch === change.epoch && synced.has(change.server))
  })
  expect(unexplained.slice(0, 20).map(textOf), `each change has a command (${unexplained.length} have none)`).toEqual([])
}

/** What is granted or taken on a server belongs to a move to it or away from it that was kept before. */
function everyCommandHasIntent(sent: readonly Sent[], moves: readonly Started[]): void {
  const first = new Map<string, number>()
  for (const { connectionId, fromServerId, toServerId, fencingToken } of moves)
    for (const server of [fromServerId, toServerId]) {
      const key = `${connectionId} ${server}`
      first.set(key, Math.min(first.get(key) ?? Infinity, fencingToken))
    }
  const orphans = sent.filter(
    (one) => (one.type === 'access.grant' || one.type === 'access.revoke') && !((first.get(keyOf(one)) ?? Infinity) <= one.token),
  )
  expect(
    orphans.slice(0, 20).map(({ type, connection, server, token, epoch }) => `${type} ${connection} ${server} ${token}.${epoch}`),
    `each command has an intent in the journal (${orphans.length} have none)`,
  ).toEqual([])
}
