import { type JsonObject, type PolicyInput, type PolicyView, policyJsonSchema } from '@pintail/core'
import type { WirePolicy } from '@pintail/core/wire'
import { type Answer, endpoint, type Target } from './endpoint.ts'
import { versionOf } from './precondition.ts'
import { RequestProblem } from './problem.ts'
import { policyView } from './schemas.ts'

type Node = { readonly [key: string]: unknown }
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value)
const snake = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** The part of a schema that says what an object at this place has; null: a value, or a record with names of its own. */
function objectIn(schema: unknown): Node | null {
  if (!isNode(schema)) return null
  if (isNode(schema.properties)) return schema
  const options = [...(Array.isArray(schema.anyOf) ? schema.anyOf : []), ...(Array.isArray(schema.oneOf) ? schema.oneOf : [])]
  return options.map(objectIn).find((one) => one !== null) ?? null
}
const recordIn = (schema: unknown): unknown => (isNode(schema) && isNode(schema.additionalProperties) ? schema.additionalProperties : null)
const itemIn = (schema: unknown): unknown => (isNode(schema) ? schema.items : undefined)

/**
 * Field names of the policy into those of the wire, or back. By the schema, because vantages and reasons have names of their
 * own, which are nobody's to change. An unknown name stays, and is refused by who knows the rules.
 */
function renamed(value: unknown, schema: unknown, direction: 'wire' | 'code'): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, itemIn(schema), direction))
  if (!isNode(value)) return value
  const properties = objectIn(schema)?.properties as Node | undefined
  const below = properties ? null : recordIn(schema)
  const names = new Map(Object.keys(properties ?? {}).map((key) => (direction === 'wire' ? [key, snake(key)] : [snake(key), key])))
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => {
    const other = names.get(key) ?? key
    return [other, renamed(item, properties?.[direction === 'wire' ? key : other] ?? below, direction)]
  })
  return Object.fromEntries(entries)
}

function pathToWire(path: string, schema: unknown): string {
  const [key = '', ...rest] = path.split('.')
  const properties = objectIn(schema)?.properties as Node | undefined
  if (!properties?.[key] || rest.length === 0) return properties ? [snake(key), ...rest].join('.') : path
  return `${snake(key)}.${pathToWire(rest.join('.'), properties[key])}`
}

/** A schema of the policy with the names of the wire. Null takes a value back (RFC 7396), so it is allowed everywhere. */
function schemaToWire(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(schemaToWire)
  if (!isNode(schema)) return schema
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
      if (key === '$schema') return []
      if (key !== 'properties' || !isNode(value)) return [[key, schemaToWire(value)]]
      return [[key, Object.fromEntries(Object.entries(value).map(([name, item]) => [snake(name), schemaToWire(item)]))]]
    }),
  )
}

let kept: JsonObject | null = null
const schemaOf = (): JsonObject => {
  kept ??= policyJsonSchema()
  return kept
}

function policyToWire({ policy, sources, version }: PolicyView): WirePolicy {
  const schema = schemaOf()
  const paths = Object.entries(sources).map(([path, source]) => [pathToWire(path, schema), source])
  return { policy: renamed(policy, schema, 'wire') as WirePolicy['policy'], sources: Object.fromEntries(paths), version }
}

/** Deeper than this no policy is. */
const deepest = 8
const depthOf = (value: unknown, limit: number): number =>
  typeof value !== 'object' || value === null || limit === 0
    ? 0
    : 1 + Math.max(0, ...Object.values(value).map((item) => depthOf(item, limit - 1)))

function patchFromWire(patch: unknown): PolicyInput {
  if (depthOf(patch, deepest + 1) > deepest)
    throw new RequestProblem('invalid_request', {
      detail: 'The patch is deeper than any policy.',
      remedy: 'GET policy shows what there is.',
      errors: [{ path: 'body', message: `must be at most ${deepest} levels deep` }],
    })
  return renamed(patch, schemaOf(), 'code') as PolicyInput
}

function answerOf(view: PolicyView): Answer {
  return { body: policyToWire(view), tag: String(view.version) }
}

const success = { status: 200, schema: policyView } as const

export const policyEndpoints = [
  endpoint({
    method: 'GET',
    url: '/policy',
    action: 'policy:read',
    operation: 'getPolicy',
    summary: 'The policy, with the source of each value',
    tag: 'policy',
    success,
    handle: ({ engine }) => answerOf(engine.policy.get()),
  }),
  endpoint({
    method: 'PATCH',
    url: '/policy',
    action: 'policy:update',
    operation: 'updatePolicy',
    summary: 'A merge patch (RFC 7396) over the policy of the code: null takes a value back',
    tag: 'policy',
    body: (target: Target) => schemaToWire(policyJsonSchema(target)) as JsonObject,
    success,
    problems: [412, 422, 428],
    ifMatch: 'needed',
    async handle({ engine, body, ifMatch }) {
      const ifVersion = versionOf(ifMatch, engine.policy.get().version)
      return answerOf(await engine.policy.update(patchFromWire(body), { ifVersion }))
    },
  }),
  endpoint({
    method: 'DELETE',
    url: '/policy',
    action: 'policy:reset',
    operation: 'resetPolicy',
    summary: 'Takes the stored patch back: the policy of the code holds again',
    tag: 'policy',
    success,
    problems: [412, 428],
    ifMatch: 'needed',
    handle: async ({ engine, ifMatch }) =>
      answerOf(await engine.policy.reset({ ifVersion: versionOf(ifMatch, engine.policy.get().version) })),
  }),
]
