/** The command line: parsed by hand-written rules, so that a mistake is answered with its remedy. */
import { parseArgs } from 'node:util'

export type StartMode = 'auto' | 'suggest' | 'observe'
export interface Settings {
  readonly mode: StartMode
  readonly once: boolean
  readonly plain: boolean
  readonly durable: boolean
}
export type Parsed =
  | { readonly do: 'run'; readonly settings: Settings }
  | { readonly do: 'help' }
  | { readonly do: 'refuse'; readonly message: string; readonly remedy: string }

export const help = `Pintail quickstart: eight VPN servers on loopback, 300 users, and an engine that moves
the users off a server that dies.

  npm start                     live; kill and revive servers by keys 1-8
  npm start -- --once           one outage from kill to recovery, then exit
  npm start -- --mode suggest   a person approves each evacuation (key a)
  npm start -- --durable        everything is kept in files: kill it with -9, and start it again

  --once          Kill one server, watch it evacuated, revive it, print the figures.
                  Exit 0: all went well. 1: something was wrong. 130: interrupted.
  --mode MODE     auto (default): act. suggest: wait for approval. observe: only say what
                  would be done.
  --plain         Lines instead of a full screen, as when the output is no terminal.
                  Keys are then read from the input: echo 1 | npm start -- --plain
  --durable       Keeps the state of the engine in SQLite, and the world in a file beside it, in
                  $XDG_STATE_HOME/pintail-quickstart or ~/.local/state/pintail-quickstart.
                  The next --durable goes on from there; remove the folder to begin anew.
  -h, --help      This text.

Colours follow NO_COLOR and FORCE_COLOR. Needs no root, no Docker, no network.
`

const options = {
  help: { type: 'boolean', short: 'h' },
  once: { type: 'boolean' },
  plain: { type: 'boolean' },
  durable: { type: 'boolean' },
  mode: { type: 'string' },
} as const
const modes: readonly StartMode[] = ['auto', 'suggest', 'observe']

export function parse(argv: readonly string[]): Parsed {
  // Not strict: its own errors end in advice about positional arguments that helps nobody.
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true })
  let mode: StartMode = 'auto'
  const flags = new Set<string>()
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') return refuse(`there is nothing to do with "${token.value}"`, 'Flags only; --help lists them.')
    if (!(token.name in options)) return refuse(`unknown flag ${token.rawName}`, 'Known: --once, --mode, --plain, --durable, --help.')
    if (token.name !== 'mode') {
      if (token.value !== undefined) return refuse(`${token.rawName} takes no value`, `Give ${token.rawName} alone.`)
      flags.add(token.name)
    } else {
      const wanted = modes.find((known) => known === token.value)
      if (!wanted) return refuse(`--mode cannot be ${token.value ? `"${token.value}"` : 'empty'}`, `Give one of: ${modes.join(', ')}.`)
      mode = wanted
    }
  }
  if (flags.has('help')) return { do: 'help' }
  if (flags.has('once') && mode === 'observe')
    return refuse('--once with --mode observe would never end: observe moves nobody', 'Use --mode auto or --mode suggest.')
  return { do: 'run', settings: { mode, once: flags.has('once'), plain: flags.has('plain'), durable: flags.has('durable') } }
}

function refuse(message: string, remedy: string): Parsed {
  return { do: 'refuse', message, remedy }
}
