import type { Command } from 'commander'
import type { Terminal } from './io.ts'
import { addSettings, example, flagsOf } from './settingFlags.ts'
import { resolveVantage, resolveWorker } from './settings/remote.ts'
import { resolveSettings } from './settings/resolve.ts'
import { plainTable } from './settings/show.ts'
import { vantageSettings } from './settings/vantage.ts'
import { workerSettings } from './settings/worker.ts'
import { paintFor } from './terminal.ts'

type End = (code: number) => void

const precedence = '\nFlags win over the environment, the environment over the file, the file over the defaults.\n'

/** `pintail worker`: gives and takes access on the servers of one region, as the engine asks over NATS. */
export function addWorker(program: Command, terminal: Terminal, end: End): void {
  const command = program
    .command('worker')
    .description('Carries out on the servers of one region what `pintail serve` asks for over NATS.')
    .option('--print-config', 'prints the settings and their sources, and ends')
    .action(async () => {
      const resolved = resolveWorker({ flags: flagsOf(command, workerSettings), env: terminal.env })
      if (command.opts().printConfig) return terminal.out(plainTable(workerSettings, resolved, paintFor(terminal)))
      const { runWorker } = await import('./worker.ts')
      end(await runWorker(resolved, terminal))
    })
  addSettings(command, workerSettings, [['natsUrl', 'Settings (each also an environment variable):']]).addHelpText(
    'after',
    `${precedence}${example(
      ['pintail worker --region de --handler wireguard', 'with the settings of the environment'],
      ['pintail worker --region de --handler command --config worker.yaml', 'with programs of your own'],
      ['pintail worker --region de --servers de-1 --handler wireguard', 'beside its one server'],
    )}`,
  )
}

/** `pintail vantage`: probes from where it stands, and tells the engine over NATS. */
export function addVantage(program: Command, terminal: Terminal, end: End): void {
  const command = program
    .command('vantage')
    .description('Probes the servers from where it stands, and sends what it sees to `pintail serve` over NATS.')
    .option('--print-config', 'prints the settings and their sources, and ends')
    .action(async () => {
      const resolved = resolveVantage({ flags: flagsOf(command, vantageSettings), env: terminal.env })
      if (command.opts().printConfig) return terminal.out(plainTable(vantageSettings, resolved, paintFor(terminal)))
      const { vantage } = await import('./vantage.ts')
      end(await vantage(resolved, terminal))
    })
  addSettings(command, vantageSettings, [['natsUrl', 'Settings (each also an environment variable):']]).addHelpText(
    'after',
    `${precedence}${example(
      ['pintail vantage --vantage ru-moscow', 'with the settings of the environment'],
      ['pintail vantage --vantage ru-moscow --prober tcp --tcp-port 443', 'where ping is filtered'],
    )}`,
  )
}

/** `pintail import`: servers and connections of a file into the books of `PINTAIL_NATS_URL`. */
export function addImport(program: Command, terminal: Terminal, end: End): void {
  program
    .command('import')
    .description('Puts servers and connections of a file into the books that `pintail serve` goes by with PINTAIL_NATS_URL.')
    .argument('<file>', 'YAML or JSON: `servers` and `connections`')
    .addHelpText(
      'after',
      `\nThe environment says where the books are. A connection that is known stays where it is:\nit may have been moved since.\n${example([
        'pintail import fleet.yaml',
        'more than once is harmless',
      ])}`,
    )
    .action(async (file: string) => {
      const { values } = resolveSettings({ flags: {}, env: terminal.env })
      const { importFleet } = await import('./importFleet.ts')
      end(await importFleet(values, file, terminal))
    })
}
