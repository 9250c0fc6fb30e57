// npm run seeds: checks SEED-COVERAGE.md; with `-- --write` it rewrites the counts at its top first.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkSeeds, summaryOf, withCounts } from './checks/seeds.ts'
import { root } from './lib/packages.ts'

const path = join(root, 'SEED-COVERAGE.md')
const unknown = process.argv.slice(2).filter((arg) => arg !== '--write')
if (unknown.length > 0) {
  console.error(`npm run seeds does not know ${unknown.join(' ')}; it knows --write`)
  process.exit(2)
}
if (process.argv.includes('--write')) writeFileSync(path, withCounts(readFileSync(path, 'utf8')))

const text = readFileSync(path, 'utf8')
const problems = checkSeeds(text, (file) => {
  const full = join(root, file)
  return statSync(full, { throwIfNoEntry: false })?.isFile() ? readFileSync(full, 'utf8') : null
})
for (const problem of problems) console.error(`SEED-COVERAGE.md: ${problem}`)
console.log(summaryOf(text))
process.exitCode = problems.length === 0 ? 0 : 1
