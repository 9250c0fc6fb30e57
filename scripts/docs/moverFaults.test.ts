import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../lib/packages.ts'
import { faults, faultTables } from './moverFaults.ts'
import { withTable } from './moverMethods.ts'

test('docs/mover-faults.md holds what is observed now (npm run docs:mover writes it)', async () => {
  const text = readFileSync(join(root, 'docs', 'mover-faults.md'), 'utf8')
  expect(text).toBe(withTable(text, await faultTables()))
}, 60_000)

test('every phase and every method of a mover has its faults', () => {
  const text = JSON.stringify(faults)
  expect([...new Set(faults.map(({ phase }) => phase))]).toEqual(['preparing', 'transferring', 'completing', 'undoing'])
  for (const method of ['prepare', 'move', 'locate', 'verify', 'complete', 'rollback']) expect(text).toContain(`\`${method}\``)
})
