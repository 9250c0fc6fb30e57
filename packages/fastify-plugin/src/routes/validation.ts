import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifyRequest } from 'fastify'
import type { Endpoint } from './endpoint.ts'
import { jsonSchema } from './openapi.ts'
import { RequestProblem } from './problem.ts'

// Queries and paths are text, so that their numbers are read from text; in a body "5" is not 5.
const options = {
  allErrors: false,
  removeAdditional: false,
  useDefaults: true,
  strict: false,
  validateFormats: false,
  ownProperties: true,
} as const

interface Refused extends Error {
  readonly problems: readonly { readonly path: string; readonly message: string }[]
}

type Validator = (data: unknown) => { readonly value: unknown } | { readonly error: Refused }

let ofText: Ajv | null = null
let ofJson: Ajv | null = null
const compiled = new WeakMap<object, ValidateFunction>()

/** Compiled when the first request comes, and once for all engines of the process: an app must not start later for it. */
function compile(json: object, isText: boolean): ValidateFunction {
  const known = compiled.get(json)
  if (known) return known
  if (isText) ofText ??= new Ajv({ ...options, coerceTypes: true })
  else ofJson ??= new Ajv({ ...options, coerceTypes: false })
  const made = ((isText ? ofText : ofJson) as Ajv).compile(json)
  compiled.set(json, made)
  return made
}

/** Our own validator compiler: nothing of the host's is asked or changed. */
export function validatorFor({
  schema,
  httpPart = 'body',
}: {
  readonly schema: unknown
  readonly httpPart?: string | undefined
}): Validator {
  const { isOptional, json } = schema as Compilable
  return (data) => {
    // Fastify hands in null for a body that is not there.
    if (isOptional && data === null) return { value: undefined }
    const validate = compile(json, httpPart !== 'body')
    if (validate(data)) return { value: data }
    const problems = (validate.errors ?? []).slice(0, 20).map((error) => told(error, httpPart))
    return { error: Object.assign(new Error(`${httpPart} is not understood`), { problems }) }
  }
}

interface Compilable {
  readonly json: object
  readonly isOptional: boolean
}

const anyObject = { type: 'object' }

/** What Fastify compiles of an endpoint. The document has schemas of its own. */
export function routeSchema({ params, query, body, isBodyOptional }: Endpoint): { readonly [part: string]: Compilable } {
  const part = (json: object, isOptional = false): Compilable => ({ json, isOptional })
  // A policy may hold null wherever it takes a value back, and its own parser says best what is wrong with it.
  const json = typeof body === 'function' ? anyObject : body && jsonSchema(body, 'draft-7', 'input')
  return {
    ...(params && { params: part(jsonSchema(params, 'draft-7', 'input')) }),
    ...(query && { querystring: part(jsonSchema(query, 'draft-7', 'input')) }),
    ...(json && { body: part(json, isBodyOptional) }),
  }
}

const parts: Readonly<Record<string, string>> = { querystring: 'query', params: 'path' }

function told({ instancePath, message = 'is not understood', keyword, params }: ErrorObject, httpPart: string) {
  const path = [parts[httpPart] ?? httpPart, ...instancePath.split('/').slice(1)].join('.')
  const { allowedValues, additionalProperty } = params as { allowedValues?: readonly unknown[]; additionalProperty?: string }
  // The name may be anything: shown only if it could be one.
  const named = additionalProperty !== undefined && /^[\w-]{1,60}$/.test(additionalProperty) ? additionalProperty : 'a name'
  if (keyword === 'additionalProperties') return { path: `${path}.${named}`.slice(0, 200), message: 'is not known' }
  if (allowedValues) return { path: path.slice(0, 200), message: `must be one of ${allowedValues.join(', ')}` }
  return { path: path.slice(0, 200), message }
}

/** @throws RequestProblem if Fastify has found the request not to be what the schemas say */
export function refuseInvalid({ validationError }: FastifyRequest): void {
  if (!validationError) return
  const errors = (validationError as unknown as Partial<Refused>).problems ?? []
  throw new RequestProblem('invalid_request', {
    detail: 'The request is not what this route takes.',
    remedy: 'Mend what is listed.',
    errors,
  })
}
