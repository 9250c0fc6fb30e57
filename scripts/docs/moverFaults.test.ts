import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultKinds } from '@pintail/core/testing'
import { expect, test } from 'vitest'
import type { Stage } from '../../packages/core/src/testing/sim/scenario.ts'
import { root } from '../lib/packages.ts'
import { faultTables, rules, uphold } from './faultTable.ts'
import { type Fault, observe } from './faultWorld.ts'
import { calm, phases } from './moverFaults.ts'
import { withTable } from './moverMethods.ts'

const faults = phases.flatMap((phase) => phase.faults)

// A time-out is for what hangs: it is about ninety worlds.
test('docs/mover-faults.md holds what is observed now (npm run docs:mover writes it)', { timeout: 600_000 }, async () => {
  const text = readFileSync(join(root, 'docs', 'mover-faults.md'), 'utf8')
  expect(text).toBe(withTable(text, await faultTables()))
})

/** What a row does to its world, as words. */
function deeds({ strike }: Fault): string[] {
  const done: string[] = []
  const stage = new Proxy({} as Stage, {
    get:
      (_, method) =>
      (...args: unknown[]) => {
        done.push([String(method), ...args.filter((arg) => typeof arg === 'string')].join(' '))
        for (const arg of args) if (method === 'when' && typeof arg === 'function') arg()
      },
  })
  strike(stage)
  return done
}

test('every fault of the mover that the simulator knows has its row', () => {
  const done = new Set(faults.flatMap(deeds))
  const known = faultKinds.filter((kind) => kind.startsWith('mover.')).map((kind) => `fault ${kind}`)
  expect(known.length).toBeGreaterThan(10)
  // A scenario names whom it refuses.
  expect(known.filter((kind) => !done.has(kind))).toEqual(['fault mover.refuses_a_user'])
  expect(done).toContain('refuse s1-5')
})

test('in each phase the leader is killed in one row at least', () => {
  for (const { title, faults: rows } of phases) expect([title, rows.flatMap(deeds).join()]).toEqual([title, expect.stringMatching(/crash/)])
})

test('no two rows say the same', () => {
  const said = faults.map(({ what }) => what)
  expect(new Set(said).size).toBe(said.length)
})

test('a row that breaks a rule without saying so is not written down, and neither is one that only says so', async () => {
  const seen = await observe(calm, 'drain')
  for (const { says, holds } of Object.values(rules)) expect([says, holds(seen)]).toEqual([says, true])
  expect(() => uphold(calm, 'drain', { ...seen, unserved: 1 })).toThrow(/it does not hold that whoever the books name/)
  expect(() => uphold({ ...calm, breaks: { drain: ['served'] } }, 'drain', seen)).toThrow(/it does hold that whoever the books name/)
  expect(() => uphold({ ...calm, breaks: { drain: ['served'] } }, 'drain', { ...seen, unserved: 1 })).not.toThrow()
})

test('what the judge finds in a row is not written down', async () => {
  const strays: Fault = {
    what: 'a panel that gives accesses that nobody has asked for',
    strike: (stage) => {
      for (const user of stage.on('s1')) stage.user(user).grants.set('s4', 'of/nobody/1')
    },
  }
  await expect(observe(strays, 'drain')).rejects.toThrow(/^drain, a panel that gives.*I7 at/s)
})
