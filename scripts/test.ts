// npm test: all tests that need Node alone. Arguments go to vitest: `npm test -- packages/core -t guard`.
import { leftOutLines } from './lib/leftOut.ts'
import { runVitest } from './lib/vitest.ts'

const args = process.argv.slice(2)
const { code, skipped } = await runVitest('test', args)

if (args.some((arg) => arg === '-t' || arg.startsWith('--testNamePattern'))) {
  console.log(`left out: ${skipped.length} tests that the given name pattern does not match, or that need something`)
} else {
  for (const line of leftOutLines(skipped)) console.log(line)
}
if (args.length > 0) console.log(`left out: tests outside of the given arguments: ${args.join(' ')}`)
console.log('left out: browser tests (the dashboard in a real Chromium): npm run browser -- --install')
console.log('left out: lab tests (network namespaces: they need root and Debian packages): npm run lab -- --install')
process.exitCode = code
