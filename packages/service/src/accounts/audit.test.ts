import type { LogEntry } from '@pintail/core'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Attempt, Audit, windowMs } from './audit.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_800_000_000_000 }))
afterEach(() => void vi.useRealTimers())

function world(write: (entry: LogEntry) => Promise<unknown> = async () => {}) {
  const lines: { level: string; msg: string; data: Record<string, unknown> }[] = []
  const entries: LogEntry[] = []
  const line = (level: string) => (data: object, msg: string) => void lines.push({ level, msg, data: { ...data } })
  const sink = {
    write: (entry: LogEntry) => {
      entries.push(entry)
      return write(entry)
    },
  }
  const logger = { info: line('info'), warn: line('warn'), error: line('error') } as never
  return { audit: new Audit({ logger, sink }), lines, entries }
}
const attempt = (more: Partial<Attempt> = {}): Attempt => ({
  code: 'credentials_invalid',
  who: null,
  action: 'fleet:pause',
  method: 'POST',
  route: '/api/pause',
  requestId: 'r1',
  ...more,
})

test('a refused attempt is one line, and one entry of the trail: who, what, why and which request', () => {
  const { audit, lines, entries } = world()
  audit.refused(attempt({ code: 'forbidden', who: 'key:grafana' }))
  const said = { code: 'forbidden', who: 'key:grafana', action: 'fleet:pause', method: 'POST', route: '/api/pause', request_id: 'r1' }
  expect(lines).toEqual([{ level: 'warn', msg: 'refused: forbidden, key:grafana, fleet:pause', data: said }])
  expect(entries).toMatchObject([{ type: 'access.refused', at: 1_800_000_000_000, connectionId: null, success: null, data: said }])
})

test('a flood is a few lines and one sum a minute, however many kinds of attempts it has, and the next minute begins anew', () => {
  const { audit, lines, entries } = world()
  for (let index = 0; index < 10_000; index++) audit.refused(attempt())
  expect(lines).toHaveLength(3)
  for (let index = 0; index < 10_000; index++) audit.refused(attempt({ who: `token:${index}`, route: null, action: null }))
  expect(lines).toHaveLength(30)
  vi.advanceTimersByTime(windowMs)
  expect(lines).toHaveLength(31)
  expect(lines[30]?.data).toMatchObject({ untold: 20_000 - 30, most: { 'credentials_invalid, nobody known, fleet:pause': 10_000 } })
  expect(Object.keys(lines[30]?.data.most as object).length).toBeLessThanOrEqual(10)
  expect(entries).toHaveLength(31)
  vi.advanceTimersByTime(10 * windowMs)
  expect(lines).toHaveLength(31)
  expect(vi.getTimerCount()).toBe(0)
  audit.refused(attempt())
  expect(lines).toHaveLength(32)
})

test('what is not told yet is told at the end, and no timer is left', () => {
  const { audit, lines } = world()
  for (let index = 0; index < 5; index++) audit.refused(attempt())
  audit.flush()
  expect(lines.at(-1)?.data).toMatchObject({ untold: 2 })
  expect(vi.getTimerCount()).toBe(0)
  audit.flush()
  expect(lines).toHaveLength(4)
})

test('a trail that cannot be written is told once, and the log has everything', async () => {
  let isDown = true
  const { audit, lines } = world(() => (isDown ? Promise.reject(new Error('ENOSPC')) : Promise.resolve()))
  for (const requestId of ['a', 'b']) audit.allowed(attempt({ code: 'allowed', who: 'token:alice', requestId }), 200)
  await vi.advanceTimersByTimeAsync(0)
  expect(lines.filter(({ level }) => level === 'info')).toHaveLength(2)
  expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1)
  isDown = false
  audit.allowed(attempt(), 200)
  await vi.advanceTimersByTimeAsync(0)
  isDown = true
  audit.allowed(attempt(), 200)
  await vi.advanceTimersByTimeAsync(0)
  expect(lines.filter(({ level }) => level === 'error')).toHaveLength(2)
})
