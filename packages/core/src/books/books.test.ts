import { expect, test } from 'vitest'
import { newDetector } from '../detect/detector.ts'
import { resolvePolicy } from '../options.ts'
import { parseServer } from '../rows.ts'
import { seededRandom } from '../testing/random.ts'
import type { Incident, Sample, ServerId, VerdictKind } from '../vocabulary.ts'
import { Books, newBook } from './books.ts'

function serverOf(id: string) {
  const parsed = parseServer({ id, host: '10.0.0.1' })
  if (!parsed.ok) throw new Error('a bad row')
  return parsed.value
}

test('a census that follows single changes is the census counted anew', () => {
  const verdicts: VerdictKind[] = ['up', 'suspect', 'down', 'unknown']
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed)
    const books = new Books(resolvePolicy().policy, { name: 'local', region: null })
    for (let index = 0; index < 30; index++) books.servers.set(`s${index}` as ServerId, newBook(serverOf(`s${index}`), newDetector(0)))
    for (let step = 0; step < 300; step++) {
      const id = `s${Math.floor(random() * 32)}` as ServerId
      const book = books.servers.get(id)
      const kind = Math.floor(random() * 4)
      if (book && kind === 0) book.detector = { ...book.detector, verdict: verdicts[Math.floor(random() * 4)] as VerdictKind }
      if (book && kind === 1) book.server = { ...book.server, status: random() < 0.5 ? 'online' : 'offline' }
      if (kind === 2 && random() < 0.5) books.incidents.delete({ serverId: id, audience: null })
      else if (kind === 2) books.incidents.put({ serverId: id, acknowledgedAt: random() < 0.5 ? 1 : null } as Incident)
      if (kind === 3 && !book) books.servers.set(id, newBook(serverOf(id), newDetector(0)))
      books.changed(id)
      const followed = { ...books.census() }
      books.changed()
      expect(books.census()).toEqual(followed)
    }
  }
})

test('of a server that is well the newest sample alone is kept; what is behind a verdict is never written over', () => {
  const books = new Books(resolvePolicy().policy, { name: 'local', region: null })
  const book = newBook(serverOf('a'), { ...newDetector(0), verdict: 'up', reasons: [{ code: 'answers', message: 'it answers' }] })
  const sample = (sentAt: number, received = 1): Sample => ({
    serverId: 'a' as ServerId,
    vantage: 'local',
    prober: 'p',
    sentAt,
    sent: 1,
    received,
    rttMs: received > 0 ? [sentAt] : [],
    failure: null,
  })
  for (let at = 1; at <= 100; at++) books.note(book, sample(at))
  expect(book.samples).toEqual([sample(100)])
  for (let at = 101; at <= 103; at++) books.note(book, sample(at, 0))
  const evidence = book.samples
  const was = structuredClone(evidence)
  expect(was.map(({ sentAt }) => sentAt)).toEqual([100, 101, 102, 103])
  for (let at = 104; at <= 140; at++) books.note(book, sample(at))
  expect(evidence).toEqual(was)
  expect(book.samples).toEqual([sample(140)])
  book.detector = { ...book.detector, verdict: 'suspect' }
  for (let at = 141; at <= 200; at++) books.note(book, sample(at, at % 2))
  expect(book.samples.map(({ sentAt }) => sentAt)).toEqual(Array.from({ length: 20 }, (_, index) => 181 + index))
})
