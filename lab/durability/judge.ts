// What must be so in the end, whoever was killed when: read from the panel's own book and from the store, never from an
// engine.

import { judgeJournal } from '@pintail/core/testing'
import { expect } from 'vitest'
import { type Scene, skewMs, timeoutMs } from './scene.ts'
import type { Book, Entry } from './words.ts'

export interface Findings {
  readonly book: Book
  readonly effective: readonly Entry[]
}

/** Two clocks of one machine, read one after the other, milliseconds. */
export const clocksMs = 50

/** Who was stopped, and when, milliseconds since 1970. */
export interface Stopped {
  readonly engine: string
  readonly at: number
}

export async function judge(
  scene: Scene,
  dead: readonly string[],
  fencing: 'enforced' | 'none' = 'enforced',
  stopped: Stopped | null = null,
): Promise<Findings> {
  const book = await scene.book()
  const effective = book.entries.filter(({ result }) => result === 'effective')
  oneHome(book, dead, await listedGrants(scene))
  onceEach(effective)
  const caught = stopped && caughtBetween(book.entries, stopped)
  withinTheLease(
    book.entries.filter((entry) => entry !== caught),
    fencing,
  )
  if (fencing === 'enforced') tokensRise(effective)
  await journalIsWhole(scene, effective)
  return { book, effective }
}

/** What the engine itself says that it has left somewhere: residue of migrations, and revokes that it owes. */
async function listedGrants(scene: Scene): Promise<Set<string>> {
  const residue = (await scene.migrations()).flatMap(({ residue, toServerId }) => residue.map((id: string) => `${id} ${toServerId}`))
  const owed = (await scene.revokes()).map(({ move, serverId }) => `${move.connection.id} ${serverId}`)
  return new Set([...residue, ...owed])
}

function oneHome({ users }: Book, dead: readonly string[], listed: ReadonlySet<string>): void {
  const all = Object.entries(users)
  const homeless = all.filter(([, { home, grants }]) => dead.includes(home) || !grants.includes(home))
  expect(homeless, 'each user has a home that lives, and access there').toEqual([])
  const unlisted = all.flatMap(([id, { home, grants }]) =>
    grants.flatMap((server) => (server === home || listed.has(`${id} ${server}`) ? [] : `${id} on ${server}, home ${home}`)),
  )
  expect(unlisted, 'no grant is left that the engine does not know of').toEqual([])
}

function onceEach(effective: readonly Entry[]): void {
  const seen = new Map<string, number>()
  for (const { what, key } of effective) seen.set(`${what} ${key}`, (seen.get(`${what} ${key}`) ?? 0) + 1)
  expect(
    [...seen].filter(([, count]) => count > 1),
    'no move has a second effect',
  ).toEqual([])
}

/**
 * The look at the lease and the call are one piece of work without a turn of the event loop between them, but a process can
 * be stopped in the middle of it, and only a target that refuses late calls could help there. So one call may go out when it
 * goes on, and no second one: each other look is made after that.
 */
export function caughtBetween(entries: readonly Entry[], { engine, at }: Stopped): Entry | null {
  const after = entries.filter((entry) => entry.engine === engine && entry.calledAt > at)
  const [first = null] = after.sort((one, other) => one.calledAt - other.calledAt)
  return first
}

/**
 * Nothing is asked for that the lease does not outlive. Where targets refuse late calls it must hold when they are made.
 * A busy machine may take the processor away between the look at the lease and the call: that is what the engine's second
 * of reserve is for, and where targets refuse, what they are for.
 */
function withinTheLease(entries: readonly Entry[], fencing: 'enforced' | 'none'): void {
  const needed = fencing === 'enforced' ? -skewMs : timeoutMs
  const outliving = entries.filter(({ calledAt, leaseUntil }) => calledAt + needed > leaseUntil)
  expect(
    outliving.map(
      ({ engine, what, key, calledAt, leaseUntil }) => `${engine} ${what} ${key}: ${leaseUntil - calledAt} ms before its lease ends`,
    ),
    'no request outlives its lease',
  ).toEqual([])
}

function tokensRise(effective: readonly Entry[]): void {
  const back = effective.filter(({ token }, index) => token < (effective[index - 1]?.token ?? 0))
  expect(back, 'two holders never act in turns').toEqual([])
}

async function journalIsWhole(scene: Scene, effective: readonly Entry[]): Promise<void> {
  const journal = await scene.journal()
  expect(
    journal.flatMap(({ seq }, index) => (seq === index + 1 ? [] : seq)),
    'the journal has no gap',
  ).toEqual([])
  expect(judgeJournal(journal), 'the journal breaks no rule').toEqual([])
  const intended = new Map<string, number>()
  for (const { type, at, data } of journal) if (type === 'move.started' && !intended.has(data.key)) intended.set(data.key, at)
  expect(
    effective.flatMap(({ what, key, calledAt }) =>
      what === 'move' && !((intended.get(key) ?? Infinity) <= calledAt + clocksMs) ? key : [],
    ),
    'each effect has an intent that was kept before',
  ).toEqual([])
}
