// npm run docs:mover: runs the little worlds, prints what movers buy and what becomes of their faults, and writes both down.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultTables } from './docs/moverFaults.ts'
import { table, withTable } from './docs/moverMethods.ts'
import { root } from './lib/packages.ts'

for (const [file, make] of [
  ['mover-methods.md', table],
  ['mover-faults.md', faultTables],
] as const) {
  const path = join(root, 'docs', file)
  const made = await make()
  console.log(made)
  writeFileSync(path, withTable(readFileSync(path, 'utf8'), made))
}
