import { type Json, PintailError } from '@pintail/core'
import type { Access } from '../regions/index.ts'

/** An argument list with places to be filled in. Values only fill places: they never make an argument more, or a command. */
export interface Template {
  readonly program: string
  /** Each argument in parts: texts and the names of places. */
  readonly args: readonly (readonly (string | { readonly place: string })[])[]
}

export const defaultPattern = /^[A-Za-z0-9._@-]{1,128}$/
const place = /\{([^{}]*)\}/
const known = /^(connectionId|serverId|token|epoch|payload(\.[A-Za-z0-9_-]{1,100}){1,10})$/
const mostArgument = 8192

/** @throws PintailError `invalid_options` */
export function parseTemplate(option: string, argv: unknown): Template {
  if (
    !Array.isArray(argv) ||
    argv.length === 0 ||
    argv.length > 200 ||
    !argv.every((one) => typeof one === 'string' && !one.includes('\0'))
  )
    throw new PintailError('invalid_options', `commandHandler: ${option} must be a list of 1 to 200 texts: a program and its arguments`)
  const [program, ...rest] = argv as [string, ...string[]]
  if (!/^(\/[^{}]+|[A-Za-z0-9._+][A-Za-z0-9._+-]*)$/.test(program))
    throw new PintailError(
      'invalid_options',
      `commandHandler: ${option}: the program must be a plain name or an absolute path, without places`,
    )
  return { program, args: rest.map((argument) => parts(option, argument)) }
}

function parts(option: string, argument: string): (string | { place: string })[] {
  return argument.split(place).flatMap<string | { place: string }>((part, index) => {
    if (index % 2 === 0) return part === '' ? [] : [part]
    if (known.test(part)) return [{ place: part }]
    throw new PintailError('invalid_options', `commandHandler: ${option}: there is no place {${part.slice(0, 60)}}`, {
      remedy: 'There are {connectionId}, {serverId}, {token}, {epoch} and {payload.field}.',
    })
  })
}

export const placesOf = ({ args }: Template): string[] => args.flat().flatMap((part) => (typeof part === 'string' ? [] : [part.place]))

/**
 * The arguments with values in their places. Whatever the patterns allow: a value begins with no `-` (it would be an
 * option), is not `.` or `..` (it would be another folder), and has no control characters.
 * @throws PintailError `rejected`, naming the place and never the value
 */
export function fill({ args }: Template, access: Access, patternOf: (place: string) => RegExp): string[] {
  return args.map((argument) =>
    argument
      .map((part) => (typeof part === 'string' ? part : checked(part.place, fieldOf(part.place, access), patternOf(part.place))))
      .join(''),
  )
}

function checked(name: string, value: Json | undefined, pattern: RegExp): string {
  const refuse = (why: string): never => {
    throw new PintailError('rejected', `BAD_VALUE: {${name}} ${why}`, {
      remedy: 'Send another value, or allow it by `patterns`.',
    })
  }
  const isNumber = typeof value === 'number' && Number.isFinite(value)
  if (typeof value !== 'string' && !isNumber) return refuse(value === undefined ? 'is not there' : 'is neither a text nor a number')
  const text = String(value)
  if (text.length > mostArgument) return refuse(`has more than ${mostArgument} characters`)
  if (text.startsWith('-')) return refuse('begins with a -')
  if (text === '.' || text === '..' || /\p{Cc}/u.test(text) || !text.isWellFormed()) return refuse('is no plain text')
  return pattern.test(text) ? text : refuse('does not match its pattern')
}

function fieldOf(name: string, access: Access): Json | undefined {
  const [first = '', ...path] = name.split('.')
  let value: unknown = access[first as 'payload']
  for (const key of path) {
    // Only what the message itself has: never a property of every object.
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value as Json | undefined
}

/** The whole value has to match, whatever the pattern's own ends are. @throws PintailError `invalid_options` */
export function wholePattern(name: string, pattern: unknown): RegExp {
  if (!(pattern instanceof RegExp))
    throw new PintailError('invalid_options', `commandHandler: patterns[${JSON.stringify(name.slice(0, 60))}] must be a RegExp`)
  // Without g and y, which remember where they were.
  return new RegExp(`^(?:${pattern.source})$`, pattern.flags.replace(/[gym]/g, ''))
}
