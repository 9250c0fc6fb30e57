// The judge of the cluster's lab, judged: each of its rules finds what it is for. Otherwise a quiet run would mean nothing.
import { expect, test } from 'vitest'
import { judge } from './cluster/judge.ts'
import type { JournalEntry, Scene } from './cluster/scene.ts'
import type { Change, Sent } from './cluster/words.ts'

interface World {
  homes: Record<string, string>
  grants: Record<string, string[]>
  dead: string[]
  ledger: Change[]
  sent: Sent[]
  journal: JournalEntry[]
}

const change = (seq: number, what: Change['what'], server: string, connection: string, token: number, epoch: number): Change => ({
  seq,
  at: seq,
  what,
  server,
  connection,
  token,
  epoch,
  isEffective: true,
})
const sent = (type: string, server: string, connection: string, token: number, epoch: number): Sent => ({
  engine: 'e1',
  id: `${type} ${server} ${connection} ${token}.${epoch}`,
  type,
  server,
  connection,
  token,
  epoch,
})
const started = (connectionId: string, fromServerId: string, toServerId: string): JournalEntry => {
  const data = { key: `m/${connectionId}/1`, migrationId: 'm', connectionId, fromServerId, toServerId, fencingToken: 1 }
  return { seq: 1, at: 1, type: 'move.started', data }
}

/** Anna was moved from the dead de-1 to de-2, Ben is where he was. */
const world = (): World => ({
  homes: { anna: 'de-2', ben: 'de-3' },
  grants: { 'de-2': ['anna'], 'de-3': ['ben'] },
  dead: ['de-1'],
  ledger: [
    change(1, 'grant', 'de-1', 'anna', 1, 1),
    change(2, 'grant', 'de-3', 'ben', 1, 1),
    change(3, 'grant', 'de-2', 'anna', 1, 4),
    change(4, 'revoke', 'de-1', 'anna', 1, 5),
  ],
  sent: [
    { ...sent('access.sync', 'de-1', '*', 1, 1), entries: [['anna', 0, 0]] },
    { ...sent('access.sync', 'de-3', '*', 1, 1), entries: [['ben', 0, 0]] },
    sent('access.grant', 'de-2', 'anna', 1, 4),
    sent('access.revoke', 'de-1', 'anna', 1, 5),
  ],
  journal: [started('anna', 'de-1', 'de-2')],
})

function judged(alter: (one: World) => void): Promise<unknown> {
  const one = world()
  alter(one)
  const scene = {
    town: { dead: one.dead },
    homes: async () => new Map(Object.entries(one.homes)),
    reality: () => ({ grants: new Map(Object.entries(one.grants).map(([id, of]) => [id, new Set(of)])), ledger: one.ledger }),
    sent: () => one.sent,
    journal: async () => one.journal,
  }
  return judge(scene as unknown as Scene, 2)
}

test.each<readonly [string, (one: World) => void, RegExp]>([
  ['somebody whom the books have lost', (one) => delete one.homes.ben, /the books have everybody/],
  ['somebody without access', (one) => void one.grants['de-3']?.pop(), /exactly one grant/],
  ['somebody with access twice', (one) => void one.grants['de-3']?.push('anna'), /exactly one grant/],
  ['somebody at home on a dead server', (one) => void one.dead.push('de-2'), /exactly one grant/],
  ['a stranger', (one) => void one.grants['de-3']?.push('eve'), /nobody unknown has access/],
  ['a stale change', (one) => void one.ledger.push(change(5, 'grant', 'de-2', 'anna', 1, 3)), /nothing stale was applied/],
  [
    'a change that does not hold',
    (one) => void one.ledger.push(change(5, 'revoke', 'de-2', 'anna', 1, 6)),
    /what is there is what the ledger says/,
  ],
  ['a change that nobody has asked for', (one) => void one.sent.splice(2, 1), /each change has a command/],
  ['a command without an intent', (one) => void one.journal.pop(), /each command has an intent in the journal/],
  ['a journal with a gap', (one) => void one.journal.push({ ...started('anna', 'de-1', 'de-2'), seq: 3 }), /the journal has no gap/],
])('%s is found', async (_what, alter, rule) => {
  await expect(judged(alter)).rejects.toThrow(rule)
})

test('a world in which all is well gets as far as the rules of the journal, which have tests of their own', async () => {
  await expect(judged(() => {})).rejects.toThrow(/the journal breaks no rule/)
})
