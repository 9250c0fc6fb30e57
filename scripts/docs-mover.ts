// npm run docs:mover: runs the little worlds, prints what each optional method of an adapter buys, and writes it down.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { table, withTable } from './docs/moverMethods.ts'
import { root } from './lib/packages.ts'

const path = join(root, 'docs', 'mover-methods.md')
const made = await table()
console.log(made)
writeFileSync(path, withTable(readFileSync(path, 'utf8'), made))
