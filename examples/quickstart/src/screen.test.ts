import type { DecisionRecord, FleetStatus, Incident, Policy, Reason, ServerReport, VerdictKind } from '@pintail/core'
import { describe, expect, test } from 'vitest'
import type { Outage } from './outages.ts'
import { render, type Scene, Screen, stateOf } from './screen.ts'
import { plain, width } from './text.ts'
import type { Entry } from './words.ts'

const at = Date.UTC(2026, 0, 1)
const reason = (code: Reason['code'], message = code as string): readonly [Reason] => [{ code, message }]

function server(index: number, verdict: VerdictKind = 'up', patch: object = {}): ServerReport {
  const report = {
    serverId: `ams-${index}`,
    name: `ams-${index}`,
    host: `127.0.0.${10 + index}`,
    region: 'eu',
    status: 'online',
    verdict: { verdict, since: at, reasons: reason(verdict === 'up' ? 'answers' : 'no_reply') },
    cordoned: false,
    load: 40,
    reserved: 0,
    capacity: 60,
    rttMs: 0.4,
    lastSample: null,
    incidentId: null,
    penalty: 0,
    ...patch,
  }
  return report as unknown as ServerReport
}

function outage(patch: Partial<Outage> = {}): Outage {
  return {
    server: 'ams-1',
    incidentId: 'incident' as Incident['id'],
    killedAt: at,
    suspectedAt: at + 200,
    openedAt: at + 1900,
    heldBy: [],
    decisionId: 'decision',
    evacuationId: 'evacuation',
    approvedAt: null,
    releasedAt: null,
    awaitsApproval: false,
    users: 12,
    unplaced: 0,
    waits: [],
    shares: [
      { id: 'a', to: 'ams-2', users: 9, moved: 4, failed: 0, status: 'transferring' },
      { id: 'b', to: 'fra-1', users: 3, moved: 3, failed: 0, status: 'completed' },
    ],
    lastMoveAt: at + 2500,
    endedAt: null,
    cancelledWhy: null,
    revivedAt: null,
    recoveredAt: null,
    statusRestored: false,
    advice: null,
    ...patch,
  }
}

const servers = [server(1, 'down'), ...[2, 3, 4, 5, 6, 7, 8].map((index) => server(index))]
const entries: Entry[] = Array.from({ length: 30 }, (_, index) => ({
  at: at + index * 1000,
  tag: 'news',
  tone: 'good',
  text: `piece of news number ${index}, told in more words than a narrow terminal has room for`,
}))
const decision = {
  id: 'decision',
  connections: 12,
  cohorts: [
    {
      cohort: 'c',
      region: 'eu',
      connections: 12,
      candidates: [
        { serverId: 'ams-2', score: 0.75, contributions: [{ factor: 'region', value: 1, weight: 20, note: 'same region eu' }] },
        { serverId: 'ams-3', score: 0.5, contributions: [{ factor: 'region', value: 0, weight: 20, note: 'elsewhere' }] },
        { serverId: 'ams-1', excluded: 'is_source', message: 'it is the server being left' },
      ],
      exclusions: { is_source: 1 },
      placed: [{ serverId: 'ams-2', connections: 12 }],
      unplaced: {},
    },
  ],
} as unknown as DecisionRecord

function policyOf(mode: string): Policy {
  const guards = { dampingCeiling: 3 }
  return {
    mode: { 'server-down': mode },
    detect: { confirm: { durationMs: 1500 } },
    placement: { fillLimit: 0.9 },
    guards,
  } as unknown as Policy
}

function scene(patch: Partial<Scene> = {}, status: Partial<FleetStatus> = {}): Scene {
  return {
    now: at + 4000,
    startedAt: at,
    policy: policyOf('auto'),
    users: 300,
    status: { state: 'leading', servers, pauses: [], registry: { listedAt: at, stale: false, skippedRows: 0 }, ...status } as FleetStatus,
    outages: [outage()],
    log: entries,
    decision,
    mover: null,
    showWhy: false,
    hasKeyboard: true,
    ...patch,
  }
}

const text = (shown: Scene, size = { columns: 80, rows: 24 }): string => render(shown, size).map(plain).join('\n')

const held = { guard: 'mass_failure', message: '3 down of 8 servers', remedy: 'Check the prober.' } as const
const suspects = servers.map(({ serverId }, index) => server(index + 1, serverId === 'ams-1' ? 'down' : 'suspect'))
const scenes: Record<string, Scene> = {
  calm: scene({ outages: [], log: [], decision: null }, { servers: servers.slice(1) }),
  'an evacuation': scene(),
  'a held incident': scene({ outages: [outage({ heldBy: [held] }), outage({ server: 'ams-2' })] }),
  'a plan that waits': scene({ outages: [outage({ awaitsApproval: true })], policy: policyOf('suggest') }),
  'many outages': scene({ outages: Array.from({ length: 20 }, () => outage({ recoveredAt: at + 3000, statusRestored: true })) }),
  'many suspects': scene({}, { servers: suspects }),
  'many targets': scene({
    outages: [
      outage({
        shares: Array.from({ length: 17 }, (_, id) => ({
          id: `${id}`,
          to: `t-${id}`,
          users: 3,
          moved: 1,
          failed: 0,
          status: 'transferring',
        })),
      }),
    ],
  }),
  why: scene({ showWhy: true }),
  paused: scene({ hasKeyboard: false }, { pauses: [{ scope: 'all', reason: null, until: null }] }),
  'before the first list': scene({ outages: [] }, { servers: [] }),
}

describe.each(Object.entries(scenes))('%s', (_, shown) => {
  test('nothing is wider or taller than the terminal', () => {
    for (const columns of [1, 20, 40, 56, 60, 72, 80, 100, 120, 140, 300])
      for (const rows of [1, 5, 18, 20, 24, 40, 100]) {
        const lines = render(shown, { columns, rows })
        expect(lines.length).toBeLessThanOrEqual(rows)
        for (const line of lines) expect(width(line), plain(line)).toBeLessThanOrEqual(columns)
      }
  })

  test('the keys are on the last line of a full screen', () => {
    const lines = render(shown, { columns: 80, rows: 24 }).map(plain)
    expect(lines).toHaveLength(24)
    expect(lines.at(-1)).toMatch(/quit/)
  })
})

test('every state has a word, a symbol and a tone of its own', () => {
  const recovering = { verdict: { verdict: 'down', since: at, reasons: reason('recovering') } } as const
  const states = [...(['up', 'suspect', 'down', 'unknown'] as const).map((verdict) => server(1, verdict)), recovering].map(stateOf)
  expect(new Set(states.map(({ word }) => word)).size).toBe(states.length)
  expect(new Set(states.map(({ symbol }) => symbol)).size).toBe(states.length)
  for (const { word, symbol } of states) expect(word.length > 0 && [...symbol].length === 1).toBe(true)
})

test('without colours the frame still says which server is down', () => {
  expect(text(scene())).toMatch(/1 ams-1 .*✗ down/)
  expect(text(scene())).toMatch(/2 ams-2 .*● up/)
})

test('why a server takes nobody is said beside it', () => {
  const [full, damped, half] = [server(1, 'up', { load: 54 }), server(2, 'up', { penalty: 3.2 }), server(3)]
  const shown = text(scene({ outages: [] }, { servers: [full, damped, half] as ServerReport[] }))
  expect(shown).toMatch(/1 ams-1 .*filled to 90 %/)
  expect(shown).toMatch(/2 ams-2 .*fails too often/)
  expect(shown).toMatch(/3 ams-3 .* 40\/60 +– *\n/)
})

test('an evacuation shows a bar and the figures of each target', () => {
  expect(text(scene())).toMatch(/evacuating 7\/12, found in 1\.9 s/)
  expect(text(scene())).toMatch(/→ ams-2 +█+░+ 4\/9 +transferring/)
  expect(text(scene())).toMatch(/→ fra-1 +█+ 3\/3/)
})

test('what is over leaves the room to what is not', () => {
  const over = Array.from({ length: 9 }, () => outage({ server: 'old-1', recoveredAt: at + 3000 }))
  const shown = text(scene({ outages: [...over, outage()] }))
  expect(shown).toMatch(/evacuating[\s\S]*→ fra-1 +█+ 3\/3[\s\S]*old-1/)
})

test('targets that do not fit are counted', () => {
  expect(text(scenes['many targets'] as Scene)).toMatch(/→ t-0 .*→ t-1 [\s\S]*and \d+ more/)
})

test('what forbids moving is said with its remedy', () => {
  expect(text(scenes['a held incident'] as Scene)).toMatch(/held: mass failure[\s\S]*3 down of 8 servers\. Check the prober\./)
})

test('the key to approve is offered only while something waits for it', () => {
  const last = (shown: Scene) => text(shown).split('\n').at(-1)
  expect(last(scenes['a plan that waits'] as Scene)).toContain('a approve')
  expect(last(scene())).not.toContain('approve')
})

test('users who found no room are said in the same line', () => {
  expect(text(scene({ outages: [outage({ unplaced: 5 })] }))).toContain('5 found no room')
})

test('why shows candidates and exclusions with their reasons', () => {
  expect(text(scenes.why as Scene)).toMatch(/ams-2 +75\.0[\s\S]*ams-1 +no target: it is the server being left/)
})

test('of the log the newest lines are shown, each as a whole', () => {
  const shown = text(scene({ outages: [] }))
  expect(shown).toContain('number 29')
  expect(shown).not.toContain('number 0,')
  // The first line of the log is the first line of an entry, never the rest of one.
  expect(shown.split('── Log')[1]?.split('\n')[1]).toMatch(/^ \d\d:\d\d news/)
})

// ----------------------------------------------------------------------------------------------------------- terminal

function terminal(columns = 80, rows = 24) {
  const written: string[] = []
  return { columns, rows, written, write: (chunk: string) => void written.push(chunk) }
}

test('the terminal is given back as it was, whoever asks, and once', () => {
  const to = terminal()
  const screen = new Screen(to)
  screen.leave()
  expect(to.written).toEqual([])
  screen.enter()
  screen.draw(['hello'])
  screen.leave()
  screen.leave()
  screen.draw(['too late'])
  const all = to.written.join('')
  for (const [on, off] of [
    ['\x1b[?1049h', '\x1b[?1049l'],
    ['\x1b[?25l', '\x1b[?25h'],
    ['\x1b[?7l', '\x1b[?7h'],
  ] as const) {
    expect(all.split(on)).toHaveLength(2)
    expect(all.split(off)).toHaveLength(2)
    expect(all.indexOf(on)).toBeLessThan(all.indexOf(off))
  }
  expect(all).not.toContain('too late')
})

test('only what has changed is written, in one write a frame', () => {
  const to = terminal()
  const screen = new Screen(to)
  screen.enter()
  screen.draw(['one', 'two', 'three'])
  to.written.length = 0
  screen.draw(['one', 'two', 'three'])
  expect(to.written).toEqual([])
  screen.draw(['one', 'TWO', 'three'])
  expect(to.written).toHaveLength(1)
  expect(to.written[0]).toContain('\x1b[2;1H')
  expect(to.written[0]).toContain('TWO')
  expect(to.written[0]).not.toContain('three')
})

test('a line that is no longer there is cleared', () => {
  const to = terminal()
  const screen = new Screen(to)
  screen.enter()
  screen.draw(['one', 'two'])
  to.written.length = 0
  screen.draw(['one'])
  expect(to.written.join('')).toContain('\x1b[2;1H\x1b[2K')
})

test('after a resize everything is drawn anew', () => {
  const to = terminal()
  const screen = new Screen(to)
  screen.enter()
  screen.draw(['one', 'two'])
  to.written.length = 0
  to.columns = 60
  screen.draw(['one', 'two'])
  const [clear, one, two] = ['\x1b[2J', 'one', 'two'].map((part) => to.written.join('').indexOf(part))
  expect(clear).toBeGreaterThanOrEqual(0)
  expect(one).toBeGreaterThan(clear ?? 0)
  expect(two).toBeGreaterThan(one ?? 0)
})
