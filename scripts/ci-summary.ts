// node scripts/ci-summary.ts <folder> <part>=<exit code> …: adds up what the parts reported into the folder.
// Its last line is the last line of .ci/run; its exit code says whether anything failed.
import { readReport, settle, sum, type Tally, tallyLine } from './lib/report.ts'

const [folder = '', ...parts] = process.argv.slice(2)

const tallies: Tally[] = parts.map((part) => {
  const [name = '', code = ''] = part.split('=')
  const tally = settle(readReport(folder, name), Number(code))
  console.log(`${name}: ${tallyLine(tally)}`)
  for (const line of tally.onlyThen ?? []) console.log(`  ${line}`)
  return tally
})
const total = sum(tallies)
process.exitCode = total.failed === 0 ? 0 : 1
console.log(tallyLine(total))
