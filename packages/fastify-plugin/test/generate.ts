/** A part of JSON Schema, as OpenAPI 3.1 has it. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
}

export interface Source {
  readonly random: () => number
  /** Ids that there are, so that requests reach what is behind "not found". */
  readonly ids: readonly string[]
}

const nasty: readonly unknown[] = [
  null,
  '',
  ' ',
  0,
  -1,
  1.5,
  1e308,
  Number.MAX_SAFE_INTEGER + 1,
  true,
  [],
  {},
  [[]],
  { a: 1 },
  'null',
  'undefined',
  '__proto__',
  '../../../x',
  "' or 1=1 --",
  '<script>alert(1)</script>',
  '{{7*7}}',
  '\u0000',
  '\ud800',
  '🦆'.repeat(50),
  'x'.repeat(3000),
  '-0',
  '2026-13-45T99:99:99Z',
  '1970-01-01T00:00:00Z',
]

export const pick = <T>(random: () => number, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T

/** A value that the schema allows, mostly; every eighth part of it is something nasty. */
export function generate(schema: Schema, source: Source, depth = 0): unknown {
  const { random } = source
  if (random() < 0.125) return pick(random, nasty)
  const options = schema.anyOf ?? schema.oneOf
  if (options) return generate(pick(random, options), source, depth)
  if ('const' in schema) return schema.const
  if (schema.enum) return pick(random, schema.enum)
  const type = typeof schema.type === 'string' ? schema.type : pick(random, schema.type ?? ['string'])
  if (type === 'object') return object(schema, source, depth)
  if (type === 'array') return Array.from({ length: Math.floor(random() * 4) }, () => generate(schema.items ?? {}, source, depth + 1))
  if (type === 'boolean') return random() < 0.5
  if (type === 'null') return null
  if (type === 'integer' || type === 'number') return figure(schema, random, type === 'integer')
  return text(schema, source)
}

function object({ properties = {}, required = [], additionalProperties }: Schema, source: Source, depth: number): unknown {
  const { random } = source
  const entries = Object.entries(properties)
    .filter(([name]) => (required.includes(name) ? random() > 0.03 : random() < 0.4 && depth < 6))
    .map(([name, inner]): [string, unknown] => [name, generate(inner, source, depth + 1)])
  if (typeof additionalProperties === 'object' && random() < 0.5) entries.push(['ams-1', generate(additionalProperties, source, depth + 1)])
  if (random() < 0.05) entries.push([pick(random, ['nonsense', 'constructor', 'toString', 'a.b']), 1])
  return Object.fromEntries(entries)
}

function figure({ minimum = -5, maximum = 1000 }: Schema, random: () => number, isWhole: boolean): number {
  const bound = pick(random, [minimum, maximum, minimum - 1, maximum + 1, minimum + random() * (maximum - minimum), random() * 100])
  return isWhole ? Math.round(bound) : bound
}

function text({ pattern, format }: Schema, { random, ids }: Source): string {
  const words = pattern ? [...pattern.matchAll(/[a-z]+/g)].map(([word]) => word) : []
  if (words.length > 0 && random() < 0.8) return Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(random, words)).join(',')
  if (format === 'date-time') return new Date(Date.UTC(2026, 0, 1) + random() * 86_400_000).toISOString()
  // Half of them are those that are always there: servers and users.
  if (random() < 0.8) return pick(random, random() < 0.5 ? ids.slice(0, 5) : ids)
  return pick(random, ['s1', '7', 'a,b', 'x', 'ü', '%'])
}
