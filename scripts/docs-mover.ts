// npm run docs:mover: runs the little worlds and writes down what they showed: what each optional method of an adapter
// buys, and what happens when a mover fails.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultTables } from './docs/faultTable.ts'
import { table, withTable } from './docs/moverMethods.ts'
import { root } from './lib/packages.ts'

for (const [name, make] of [
  ['mover-methods.md', table],
  ['mover-faults.md', faultTables],
] as const) {
  const path = join(root, 'docs', name)
  const made = await make()
  console.log(made)
  writeFileSync(path, withTable(readFileSync(path, 'utf8'), made))
}
