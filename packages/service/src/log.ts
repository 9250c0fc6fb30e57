import { errorText, isPintailError } from '@pintail/core'
import pino, { type DestinationStream, type Logger } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { Settings } from './settings/settings.ts'

export interface LogOptions extends Pick<Settings, 'logLevel' | 'logFormat'> {
  readonly isTerminal: boolean
  readonly color: boolean
}

const secretKey = String.raw`\w*(?:password|passwd|secret|api_?key|private_?key|preshared_?key|authorization|token)`
// A token that is a number is the leader's fencing token, which is no secret.
const secretValue = new RegExp(String.raw`("${secretKey}"\s*:\s*)"(?:[^"\\]|\\.)*"`, 'gi')
const secretInUrl = /(\w:\/\/)[^\s/@"\\]*@/g
// 32 bytes as base64, wherever they stand.
const wireGuardKey = /(?<![\w+/])[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=(?![\w+/=])/g
const secretInConfig = /((?:PrivateKey|PresharedKey)\s*=\s*)[A-Za-z0-9+/=]+/g

/** The last net: nothing that looks like a secret leaves the process in a log line, whoever has put it there. */
const maskLine = (line: string): string =>
  line.replace(secretValue, '$1"***"').replace(secretInUrl, '$1***@').replace(secretInConfig, '$1***').replace(wireGuardKey, '***')

function errorFields(error: unknown): object {
  if (!(error instanceof Error)) return { message: errorText(error) }
  const pintail = isPintailError(error) ? { code: error.code, remedy: error.remedy } : { code: (error as NodeJS.ErrnoException).code }
  const cause = error.cause === undefined ? {} : { cause: errorText(error.cause) }
  // The frames alone: a stack begins with the message as it was, secrets and all.
  const stack = error.stack?.split('\n').filter((line) => /^\s+at /.test(line))
  return { type: error.name, ...pintail, message: errorText(error), ...cause, stack: stack?.join('\n') }
}

/**
 * pino, as lines of JSON on a pipe and in readable form on a terminal. Levels are seed 004's. Writes at once, so that
 * the last line of a process that dies is there too.
 */
export function createLogger(options: LogOptions, destination: DestinationStream = standardOutput()): Logger {
  const { logLevel, logFormat, isTerminal } = options
  const isPretty = logFormat === 'pretty' || (logFormat === 'auto' && isTerminal)
  return pino(
    {
      level: logLevel,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorFields, error: errorFields },
      hooks: { streamWrite: maskLine },
    },
    isPretty ? readable(destination, options) : destination,
  )
}

/** One line for people: what happened, and what to do about it. The data beside it is for debugging. */
function readable(destination: DestinationStream, { color, logLevel }: LogOptions): DestinationStream {
  const format = prettyFactory({
    colorize: color,
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
    hideObject: logLevel !== 'debug' && logLevel !== 'trace',
    messageFormat: '{msg}{if remedy} → {remedy}{end}',
  })
  return { write: (line) => destination.write(`${format(line).trimEnd()}\n`) }
}

function standardOutput(): DestinationStream {
  const stream = pino.destination({ dest: 1, sync: true })
  // Nobody reads the log any more: the users of a dead server still have to be moved.
  stream.on('error', () => {})
  return stream
}
