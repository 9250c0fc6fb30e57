import { type Clock, type Json, PintailError, systemClock } from '@pintail/core'
import { excerpt } from '../http/secrets.ts'
import { type Ended, run } from '../process/run.ts'
import type { Access, HandlerContext, Listed, RegionHandler } from '../regions/index.ts'
import { defaultPattern, fill, parseTemplate, placesOf, type Template, wholePattern } from './template.ts'

/**
 * What an exit code means. `ok`: done. `rejected`: refused for good. `unavailable`: nothing has happened, again later.
 * `failed`: something may have happened; the same again.
 */
export type CommandMeaning = 'ok' | 'rejected' | 'unavailable' | 'failed'

/** A program and its arguments, as `['/usr/local/sbin/vpnctl', 'add', '{connectionId}', '--key={payload.key}']`. */
type Argv = readonly string[]

export interface CommandHandlerOptions {
  /** Must be repeatable, as `revoke`: adding whom it has already added is no failure. */
  readonly grant: Argv
  /** Of somebody who is not there: exits as for success. */
  readonly revoke: Argv
  /** Prints who is there as JSON: a list of `{ "connectionId": …, "payload": … }`, with null for somebody else's. Place: `{serverId}`. Default: a sync goes by the worker's book. */
  readonly list?: Argv
  /** Exits with 0: usable; with 1: not yet. Default: what the book says. */
  readonly check?: Argv
  /**
   * What a value must match as a whole, by place (`connectionId`, `payload.key`). Default for each
   * `/^[A-Za-z0-9._@-]{1,128}$/`. Never, whatever the pattern: a leading `-`, `.`, `..`, control characters.
   */
  readonly patterns?: Readonly<Record<string, RegExp>>
  /** By exit code, for `grant`, `revoke` and `list`. Default: 0 is `ok`, every other `failed`. */
  readonly exitCodes?: Readonly<Record<number, CommandMeaning>>
  /** `json`: what `grant` prints, at most 64 KiB of JSON, goes back with the result. Default `nothing`. */
  readonly returns?: 'json' | 'nothing'
  /** `json`: the access as one line of JSON on standard input, for what is too long for an argument or is not to be seen in a list of processes. Default `nothing`. */
  readonly input?: 'json' | 'nothing'
  /** The whole environment besides PATH. Default empty: nothing of this process's own. */
  readonly env?: Readonly<Record<string, string>>
  /** Where it runs. Default: where this process does. */
  readonly cwd?: string
  /** For each command, milliseconds, 1–600 000; then it is killed with whatever it has started. Default 10 000. */
  readonly timeoutMs?: number
  /** Of standard output, 1–67 108 864. Default 1 MiB. */
  readonly maxOutputBytes?: number
  readonly clock?: Pick<Clock, 'setTimeout'>
}

const mostPayload = 64 * 1024

/**
 * Moves users of any daemon that has a command for it. A command is a program and a list of arguments, fixed here; values of
 * a message fill places in it after they have been checked one by one, and no shell ever reads them. What a command leaves
 * running in its process group is ended with it.
 *
 * `rejected`: a value that does not match (`BAD_VALUE`), or an exit code that means it. `unavailable`: the program could not
 * be started, or an exit code. Anything else is tried again.
 * @throws PintailError `invalid_options`
 */
export function commandHandler(options: CommandHandlerOptions): RegionHandler {
  const {
    exitCodes = {},
    returns = 'nothing',
    input = 'nothing',
    env = {},
    timeoutMs = 10_000,
    maxOutputBytes = 1 << 20,
    clock = systemClock,
  } = options
  inRange('timeoutMs', timeoutMs, 600_000)
  inRange('maxOutputBytes', maxOutputBytes, 1 << 26)
  const [grant, revoke] = [parseTemplate('grant', options.grant), parseTemplate('revoke', options.revoke)]
  const list = options.list === undefined ? null : parseTemplate('list', options.list)
  const check = options.check === undefined ? null : parseTemplate('check', options.check)
  if (list && placesOf(list).some((name) => name !== 'serverId'))
    throw new PintailError('invalid_options', 'commandHandler: list is about a whole server: its only place is {serverId}')
  const patternOf = patternsFor([grant, revoke, ...(list ? [list] : []), ...(check ? [check] : [])], options.patterns ?? {})
  const execute = (template: Template, access: Access, { signal }: HandlerContext): Promise<Ended> => {
    const { program } = template
    const args = fill(template, access, patternOf)
    const text = input === 'json' ? `${JSON.stringify(access)}\n` : ''
    const all = { PATH: process.env.PATH ?? '', ...env }
    return run({ program, args, input: text, env: all, cwd: options.cwd, timeoutMs, maxOutputBytes }, clock, signal)
  }
  const succeed = async (template: Template, access: Access, ctx: HandlerContext): Promise<Ended> => {
    const ended = await execute(template, access, ctx)
    const meaning = exitCodes[ended.code] ?? (ended.code === 0 ? 'ok' : 'failed')
    if (meaning === 'ok') return ended
    const said = excerpt(ended.stderr)
    throw new PintailError(
      meaning === 'failed' ? 'internal' : meaning,
      `${template.program} has exited with ${ended.code}${said && `: ${said}`}`,
    )
  }
  return {
    async grant(access, ctx) {
      const { stdout } = await succeed(grant, access, ctx)
      return returns === 'json' ? parseOutput(grant.program, stdout, mostPayload) : undefined
    },
    revoke: async (access, ctx) => void (await succeed(revoke, access, ctx)),
    ...(list && {
      async list(serverId: string, ctx: HandlerContext) {
        const access = { serverId, connectionId: '*', token: 0, epoch: 0, deadline: null, payload: null }
        return parseListed(list.program, (await succeed(list, access, ctx)).stdout, maxOutputBytes)
      },
    }),
    ...(check && {
      async check(access: Access, ctx: HandlerContext) {
        const { code } = await execute(check, access, ctx)
        if (code === 0 || code === 1) return code === 0
        throw new PintailError('unavailable', `${check.program} has exited with ${code}, which is neither yes (0) nor no (1)`)
      },
    }),
  }
}

function patternsFor(templates: readonly Template[], given: Readonly<Record<string, RegExp>>): (place: string) => RegExp {
  const places = new Set(templates.flatMap(placesOf))
  const patterns = new Map<string, RegExp>()
  for (const [name, pattern] of Object.entries(given)) {
    // A name with a slip in it would leave the place with the default, or worse, with none that anybody thought of.
    if (!places.has(name))
      throw new PintailError(
        'invalid_options',
        `commandHandler: patterns has ${JSON.stringify(name.slice(0, 60))}, and no command has that place`,
      )
    patterns.set(name, wholePattern(name, pattern))
  }
  return (name) => patterns.get(name) ?? defaultPattern
}

function parseOutput(program: string, stdout: string, most: number): Json {
  if (Buffer.byteLength(stdout) <= most)
    try {
      return JSON.parse(stdout) as Json
    } catch {
      // Its text may be a secret, and the parser's words quote it.
    }
  throw new PintailError('internal', `what ${program} has printed is no JSON of at most ${most} bytes`, {
    remedy: 'Print one JSON value on standard output, and everything else on standard error.',
  })
}

function parseListed(program: string, stdout: string, most: number): readonly Listed[] {
  const rows = parseOutput(program, stdout, most)
  if (!Array.isArray(rows)) throw notListed(program)
  return rows.map((row: { readonly connectionId?: unknown; readonly payload?: Json } | null) => {
    const id = row?.connectionId
    if (id !== null && (typeof id !== 'string' || id === '' || id.length > 200)) throw notListed(program)
    return { connectionId: id, payload: row?.payload ?? null }
  })
}

/** A list that is half understood must not be taken for all who are there. */
const notListed = (program: string): PintailError =>
  new PintailError('unavailable', `what ${program} has printed is no list of { "connectionId": …, "payload": … }`)

function inRange(option: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new PintailError('invalid_options', `commandHandler: ${option} must be a whole number from 1 to ${most}`)
}
