// npm run browser: the dashboard in a real Chromium, against a real engine. `npm run browser -- --install` installs it first.
// Exits 2, with what is missing and the remedy, where it cannot run: nothing is skipped in silence.
import { browserPackages, hasCommand, missingPackages } from './lib/debian.ts'
import { leftOutLines } from './lib/leftOut.ts'
import { publicPackages } from './lib/packages.ts'
import { buildPage } from './lib/page.ts'
import { writeReport } from './lib/report.ts'
import { run } from './lib/run.ts'
import { runVitest } from './lib/vitest.ts'

const installFlag = '--install'
const args = process.argv.slice(2)

async function install(): Promise<string[]> {
  if (process.getuid?.() !== 0) return ['installing needs root: run `sudo npm run browser -- --install`']
  if (!hasCommand('apt-get')) return ['there is no apt-get: install the packages of packages/dashboard/debian-packages.txt by hand']
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const names = browserPackages().map(({ name }) => name)
  for (const step of [['update'], ['install', '-y', '--no-install-recommends', ...names]]) {
    const { code } = await run('apt-get', step, { env, output: 'show' })
    if (code !== 0) return [`apt-get ${step[0]} failed with ${code}`]
  }
  return []
}

const missing = args.includes(installFlag) ? await install() : []
for (const { name, commands } of missingPackages(browserPackages(), (command) => hasCommand(command)))
  missing.push(`the command ${commands.join(', ')} (Debian package ${name}); remedy: npm run browser -- --install`)
const dashboard = publicPackages().find(({ name }) => name === '@pintail/dashboard')
if (!dashboard) missing.push('packages/dashboard')

if (missing.length > 0 || !dashboard) {
  console.error('the browser tests cannot run here; missing:')
  for (const line of missing) console.error(`  ${line}`)
  writeReport('browser', { passed: 0, failed: 1, skipped: 0 })
  process.exitCode = 2
} else {
  await buildPage(dashboard)
  const { code, skipped } = await runVitest('browser', [
    '--config=packages/dashboard/browser/vitest.config.ts',
    ...args.filter((arg) => arg !== installFlag),
  ])
  for (const line of leftOutLines(skipped)) console.log(line)
  process.exitCode = code
}
