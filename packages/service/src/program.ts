import { errorText, type MigrationReason } from '@pintail/core'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { roles } from './accounts/roles.ts'
import type { Terminal } from './io.ts'
import { addImport, addVantage, addWorker } from './remoteCommands.ts'
import { addSettings, example, flagsOf, type SettingGroups } from './settingFlags.ts'
import { keyNamePattern, momentOf } from './settings/accessKinds.ts'
import { number } from './settings/kinds.ts'
import { SettingsError } from './settings/read.ts'
import { resolveNats } from './settings/remote.ts'
import { type Resolved, resolveSettings } from './settings/resolve.ts'
import { settings } from './settings/settings.ts'
import { problemsText, settingsData, settingsTable } from './settings/show.ts'
import { Exit, paintFor, usesColor } from './terminal.ts'
import { version } from './version.ts'

/** The process itself, as a place to write to. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process
  // `pintail check … | head`: nobody reads any more, and that is no fault.
  for (const stream of [stdout, stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    isTerminal: stdout.isTTY === true,
    columns: stdout.columns ?? 100,
    env,
  }
}

/** Runs one command line. @returns the exit code: 0, 1 for a failure, 2 for a command line that cannot be understood */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  let code = 0
  const program = build(terminal, (next) => {
    code = next
  })
  try {
    if (argv.length === 0) {
      terminal.err(program.helpInformation())
      return 2
    }
    await program.parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    return failed(error, terminal)
  }
}

function failed(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof Exit) {
    if (error.message) terminal.err(error.message)
    return error.code
  }
  if (error instanceof SettingsError) {
    terminal.err(problemsText(error.problems, paintFor(terminal)))
    terminal.err('\n`pintail config` shows every setting with its value and source; `pintail serve --help` explains them.\n')
    return 1
  }
  terminal.err(`pintail: ${errorText(error)}\n`)
  return 1
}

type End = (code: number) => void

function build(terminal: Terminal, end: End): Command {
  const columns = Math.max(80, Math.min(110, terminal.columns))
  const width = { getOutHelpWidth: () => columns, getErrHelpWidth: () => columns }
  const program = new Command('pintail')
    .description('Moves VPN users off failing servers.')
    .version(version(), '-V, --version', 'prints the version')
    .helpOption('-h, --help', 'prints this help; every command has its own')
    .helpCommand(false)
    .showHelpAfterError('(add --help for what there is)')
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err, getOutHasColors: () => usesColor(terminal), ...width })
    .exitOverride()
    .addHelpText(
      'after',
      example(
        ['pintail config', 'what would run, and where each value comes from'],
        ['pintail check vpn1.example.net vpn2.example.net', 'one look at some servers'],
        ['pintail plan --drain 2', 'who would go where if server 2 were emptied'],
        ['PINTAIL_MODE=observe pintail serve', 'watches, and only tells'],
      ),
    )
  addServe(program, terminal, end)
  addCheck(program, terminal, end)
  addPlan(program, terminal, end)
  addConfig(program, terminal)
  addWorker(program, terminal, end)
  addVantage(program, terminal, end)
  addImport(program, terminal, end)
  addMigrate(program, terminal, end)
  addHealth(program, terminal, end)
  addKey(program, terminal)
  return program
}

// --------------------------------------------------------------------------------------------------------- settings

const settingGroups: SettingGroups = [
  ['databaseServiceUrl', 'Settings of VPN Duck (each also an environment variable):'],
  ['mode', 'Settings of Pintail (each also an environment variable):'],
]

const addServiceSettings = (command: Command): Command => addSettings(command, settings, settingGroups)

const settingsOf = (command: Command, terminal: Terminal): Resolved =>
  resolveSettings({ flags: flagsOf(command, settings), env: terminal.env })

function addServe(program: Command, terminal: Terminal, end: End): void {
  const command = program
    .command('serve')
    .description(
      'Watches VPN servers, those of a VPN Duck or (with PINTAIL_NATS_URL) of its own books, and moves the users of those that die.',
    )
    .option('--print-config', 'prints the settings and their sources, and ends')
    .action(async () => {
      const resolved = settingsOf(command, terminal)
      if (command.opts().printConfig) return terminal.out(settingsTable(resolved, paintFor(terminal)))
      const { serve } = await import('./serve.ts')
      end(await serve(resolved, terminal))
    })
  addServiceSettings(command).addHelpText(
    'after',
    `\nFlags win over the environment, the environment over the file, the file over the defaults.\n${example(
      ['pintail serve', 'with the settings of the environment'],
      ['pintail serve --mode observe', 'only tells what it would do'],
      ['pintail serve --config pintail.yaml', 'with a file for settings and policy'],
      ['pintail serve --prober tcp --tcp-port 443', 'where ping is filtered'],
    )}`,
  )
}

function addConfig(program: Command, terminal: Terminal): void {
  const command = program
    .command('config')
    .description('Prints every setting with its value and where that comes from; starts nothing.')
    .option('--json', 'as JSON')
    .action(() => {
      const resolved = settingsOf(command, terminal)
      for (const warning of resolved.warnings) terminal.err(`pintail: ${warning}\n`)
      if (!command.opts().json) return terminal.out(settingsTable(resolved, paintFor(terminal)))
      const { policy, sources } = resolved.view
      terminal.out(`${JSON.stringify({ settings: settingsData(resolved), policy, policy_sources: sources }, null, 2)}\n`)
    })
  addServiceSettings(command).addHelpText(
    'after',
    example(
      ['pintail config', 'what `pintail serve` would use here'],
      ['pintail config --json', 'the same as data, with the whole policy'],
      ['CHECK_INTERVAL=3s pintail config', 'says what is wrong with it'],
    ),
  )
}

// ------------------------------------------------------------------------------------------------------------ commands

/** A flag of a command that is no setting. */
function flagNumber(kind: ReturnType<typeof number>): (text: string) => number {
  return (text) => {
    const read = kind.read(text)
    if (read.ok) return read.value
    throw new InvalidArgumentError(`It ${read.fault.is}: ${read.fault.right}.`)
  }
}

const port = flagNumber(number({ unit: 'port', min: 1, max: 65_535, whole: true }))
const collect =
  <T>(read: (text: string) => T) =>
  (text: string, before: readonly T[] | undefined): T[] => [...(before ?? []), read(text)]

/** Fires with the first Ctrl-C. */
async function interruptible(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController()
  const stop = (): void => controller.abort()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    return await work(controller.signal)
  } catch (error) {
    if (controller.signal.aborted) throw new Exit(130)
    throw error
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

function addCheck(program: Command, terminal: Terminal, end: End): void {
  const command = program
    .command('check')
    .description('One look at some hosts with every prober; ends with 0 if all are up, 1 if not, 2 if it cannot be understood.')
    .argument('[host...]', 'addresses or DNS names')
    .option('--store', 'looks also at the store that the environment names (PINTAIL_STORE …), or only there')
    .option('--nats', 'looks also at the broker of PINTAIL_NATS_URL, or only there')
    .addOption(new Option('--tcp <port>', 'opens this TCP port too; may be given several times').argParser(collect(port)))
    .option('--no-icmp', 'without ping')
    .option('--fping', 'by fping too: many hosts in one process')
    .addOption(new Option('--tls <port>', 'makes a TLS handshake there too; may be given several times').argParser(collect(port)))
    .addOption(new Option('--https <port>', 'asks for / there over HTTPS too; may be given several times').argParser(collect(port)))
    .addOption(
      new Option('--count <packets>', 'packets to each host')
        .default(5)
        .argParser(flagNumber(number({ unit: 'packets', min: 1, max: 100, whole: true }))),
    )
    .addOption(
      new Option('--timeout <seconds>', 'how long to wait for each answer')
        .default(3)
        .argParser(flagNumber(number({ unit: 'seconds', min: 0.02, max: 60 }))),
    )
    .addOption(
      new Option('--loss <percent>', 'a host is down at this loss or more')
        .default(50)
        .argParser(flagNumber(number({ unit: 'percent', min: 0.1, max: 100 }))),
    )
    .addOption(
      new Option('--latency <milliseconds>', 'a host is down above this mean round trip')
        .default(300)
        .argParser(flagNumber(number({ unit: 'milliseconds', min: 1, max: 60_000 }))),
    )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      example(
        ['pintail check 127.0.0.1', 'ping'],
        ['pintail check --tcp 443 vpn1.example.net vpn2.example.net', 'ping and TCP port 443'],
        ['pintail check --no-icmp --fping --tls 443 vpn1.example.net', 'fping, and the certificate of port 443'],
        ['pintail check --no-icmp --tcp 443 --json 198.51.100.7', 'TCP alone, as JSON'],
        ['pintail check --count 20 --timeout 1 198.51.100.7', 'twenty packets'],
        ['pintail check --store', 'whether the state can be kept'],
        ['pintail check --nats', 'whether the broker lets us in'],
      ),
    )
    .action(async (hosts: string[]) => {
      const { tcp = [], tls = [], https = [], icmp, fping = false, count: packets, timeout, loss, latency } = command.opts()
      const { json = false, store = false, nats = false } = command.opts()
      if (hosts.length === 0 && !store && !nats) throw new Exit(2, 'pintail check: name hosts, --store or --nats.\n')
      if (hosts.length > 0 && !icmp && !fping && tcp.length + tls.length + https.length === 0)
        throw new Exit(2, 'pintail check: with --no-icmp there is nothing to check by; give --tcp PORT.\n')
      const probers = { icmp, fping, tcp, tls, https }
      const { check } = await import('./check.ts')
      const kept = (store ? await checkStore(terminal, json) : 0) || (nats ? await checkNats(terminal, json) : 0)
      if (hosts.length === 0) return end(kept)
      const up = await interruptible((signal) =>
        check({ hosts, ...probers, packets, timeoutMs: timeout * 1000, lossPercent: loss, latencyMs: latency, json, signal }, terminal),
      )
      end(kept || up)
    })
}

/** @returns 0: the state can be kept; 1: not */
async function checkStore(terminal: Terminal, json: boolean): Promise<number> {
  const { values } = resolveSettings({ flags: {}, env: terminal.env })
  const { lookAtStore, storeText } = await import('./storeCheck.ts')
  const report = await lookAtStore(values, terminal.env)
  const { lastSeq, ...rest } = report
  terminal.out(json ? `${JSON.stringify({ ...rest, last_seq: lastSeq })}\n` : storeText(report))
  return report.ok ? 0 : 1
}

/** @returns 0: the broker lets us in; 1: not */
async function checkNats({ out, env }: Terminal, json: boolean): Promise<number> {
  const { brokerText, lookAtBroker } = await import('./natsCheck.ts')
  const report = await lookAtBroker(resolveNats({ flags: {}, env }))
  out(json ? `${JSON.stringify(report)}\n` : brokerText(report))
  return report.ok ? 0 : 1
}

function addMigrate(program: Command, terminal: Terminal, end: End): void {
  const command = program
    .command('migrate')
    .description(
      'Makes the tables of the store that the settings name, or brings them up to date. Forward only; more than once is harmless.',
    )
    .action(async () => {
      const { values } = settingsOf(command, terminal)
      const { migrate } = await import('./storeCheck.ts')
      end(await migrate(values, terminal.env, terminal))
    })
  addServiceSettings(command)
}

const reasons = ['maintenance', 'manual', 'rebalancing', 'cost-optimization', 'server-down'] as const satisfies readonly MigrationReason[]

function addPlan(program: Command, terminal: Terminal, end: End): void {
  const command = program
    .command('plan')
    .description('The dry run of a drain: who would go where, and why. Reads the database service, probes the servers, changes nothing.')
    .addOption(
      new Option('--drain <id>', 'the server to empty; may be given several times').makeOptionMandatory().argParser(collect(String)),
    )
    .option('--to <id>', 'the only server that they may go to')
    .addOption(new Option('--user <id>', 'only this user; may be given several times').argParser(collect(String)))
    .addOption(new Option('--reason <reason>', 'why they would be moved').choices(reasons).default('maintenance'))
    .addOption(
      new Option('--look <seconds>', 'how long to look at the servers at most before planning')
        .default(10)
        .argParser(flagNumber(number({ unit: 'seconds', min: 0, max: 300 }))),
    )
    .option('--all', 'names every user')
    .option('--json', 'as JSON')
    .action(async () => {
      const { drain, to, user, reason, look, all = false, json = false } = command.opts()
      const resolved = settingsOf(command, terminal)
      for (const warning of resolved.warnings) terminal.err(`pintail: ${warning}\n`)
      const { plan } = await import('./plan.ts')
      end(
        await interruptible((signal) =>
          plan(resolved, { drain, to, users: user, reason, lookMs: look * 1000, all, json, signal }, terminal),
        ),
      )
    })
  addServiceSettings(command).addHelpText(
    'after',
    example(
      ['pintail plan --drain 2', 'everybody on server 2'],
      ['pintail plan --drain 2 --to 5', 'all of them to server 5'],
      ['pintail plan --drain 2 --user 77 --json', 'one user, as JSON'],
    ),
  )
}

function addKey(program: Command, terminal: Terminal): void {
  const command = program
    .command('key')
    .description('Makes an API key and the line of its account for PINTAIL_API_KEYS; keeps nothing.')
    .addOption(new Option('--name <name>', 'whose it is, for the log').makeOptionMandatory().argParser(keyName))
    .addOption(new Option('--role <role>', 'what it may do').makeOptionMandatory().choices(roles))
    .addOption(new Option('--expires <date>', 'when it ends, as 2027-01-31 or 2027-01-31T12:00:00Z').argParser(keyEnd))
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      example(
        ['pintail key --name grafana --role viewer', 'may look, and sees no users'],
        ['pintail key --name ops --role operator --expires 2027-01-31', 'may move users'],
      ),
    )
    .action(async () => {
      const { name, role, expires, json = false } = command.opts()
      const { printKey } = await import('./key.ts')
      printKey({ name, role, expires, json }, terminal)
    })
}

function keyName(text: string): string {
  if (keyNamePattern.test(text)) return text
  throw new InvalidArgumentError('Give up to 64 letters, digits, dots, dashes and underscores.')
}

function keyEnd(text: string): string {
  if (momentOf(text) > Date.now()) return text
  throw new InvalidArgumentError('Give a day that is to come, such as 2027-01-31.')
}

function addHealth(program: Command, terminal: Terminal, end: End): void {
  const command = program
    .command('health')
    .description('Asks a running `pintail serve` whether it is ready; ends with 0 if it is, 1 if not.')
    .option('--url <url>', 'its address; default: the one that PINTAIL_HOST and PINTAIL_PORT name')
    .option('--live', 'asks only whether the process answers')
    .addHelpText(
      'after',
      example(['pintail health', 'the service of this machine or container'], ['pintail health --url http://10.0.0.5:5010', 'another one']),
    )
    .action(async () => {
      const { url, live = false } = command.opts()
      const { health } = await import('./ask.ts')
      end(await health({ url, live }, terminal))
    })
}
