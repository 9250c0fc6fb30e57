// npm run lab: the tests that need root and Debian packages. `npm run lab -- --install` installs the packages first.
// Exits 2, with what is missing and the remedy, where the lab cannot run: nothing is skipped in silence.
import { hasCommand, labPackages, missingPackages } from './lib/debian.ts'
import { leftOutLines } from './lib/leftOut.ts'
import { writeReport } from './lib/report.ts'
import { run } from './lib/run.ts'
import { runVitest } from './lib/vitest.ts'

const installFlag = '--install'
const args = process.argv.slice(2)

const isRoot = process.getuid?.() === 0
const sbin = [process.env.PATH, '/usr/sbin', '/sbin'].join(':')

async function install(): Promise<string[]> {
  if (!isRoot) return ['installing needs root: run `sudo npm run lab -- --install`']
  if (!hasCommand('apt-get')) return ['there is no apt-get: install the packages of lab/debian-packages.txt by hand']
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const names = labPackages().map(({ name }) => name)
  for (const step of [['update'], ['install', '-y', '--no-install-recommends', ...names]]) {
    const { code } = await run('apt-get', step, { env, output: 'show' })
    if (code !== 0) return [`apt-get ${step[0]} failed with ${code}`]
  }
  return []
}

/** What keeps the lab from running here, each line with its remedy. */
async function obstacles(): Promise<string[]> {
  const found: string[] = []
  if (!isRoot) found.push('root: network namespaces need it; remedy: sudo npm run lab')
  const missing = missingPackages(labPackages(), (command) => hasCommand(command))
  for (const { name, commands } of missing) found.push(`the command ${commands.join(', ')} (Debian package ${name})`)
  if (missing.length > 0) found.push('remedy for the commands: npm run lab -- --install')
  if (found.length > 0) return found
  return namespacesWork()
}

/** Root in a container is often not allowed to make a network namespace. */
async function namespacesWork(): Promise<string[]> {
  const name = `pintail-try-${process.pid}`
  const env = { PATH: sbin }
  const made = await run('ip', ['netns', 'add', name], { env })
  if (made.code === 0) await run('ip', ['netns', 'delete', name], { env })
  return made.code === 0
    ? []
    : [`network namespaces: ${made.output.trim()}; remedy: a machine, or a container with CAP_SYS_ADMIN and CAP_NET_ADMIN`]
}

const wantsInstall = args.includes(installFlag)
const missing = [...(wantsInstall ? await install() : []), ...(await obstacles())]

if (missing.length > 0) {
  console.error('the lab cannot run here; missing:')
  for (const line of missing) console.error(`  ${line}`)
  writeReport('lab', { passed: 0, failed: 1, skipped: 0 })
  process.exitCode = 2
} else {
  process.env.PATH = sbin
  const { code, skipped } = await runVitest('lab', ['--config=lab/vitest.config.ts', ...args.filter((arg) => arg !== installFlag)])
  for (const line of leftOutLines(skipped)) console.log(line)
  process.exitCode = code
}
