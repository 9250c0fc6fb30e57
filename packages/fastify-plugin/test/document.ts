import { Ajv, type ValidateFunction } from 'ajv'
import { events, webSocket } from '../src/live/routes.ts'
import type { Described, Endpoint } from '../src/routes/endpoint.ts'
import { allEndpoints } from '../src/routes/index.ts'
import { jsonSchema, problemStatuses } from '../src/routes/openapi.ts'
import { problem } from '../src/routes/schemas.ts'

/** Every route but the health. */
export const endpoints: readonly Endpoint[] = [...allEndpoints({ failure: () => null }), events, webSocket]

const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false })
const compiled = new Map<Described, ValidateFunction>()
function validate(schema: Described, body: unknown): string | null {
  const found = compiled.get(schema) ?? ajv.compile(jsonSchema(schema, 'draft-7'))
  compiled.set(schema, found)
  return found(body) ? null : ajv.errorsText(found.errors)
}

const pattern = ({ url }: Endpoint): RegExp => new RegExp(`^${url.replaceAll(':id', '[^/]+')}$`)

/** The endpoint of a path under the prefix; null: there is none. */
export function endpointOf(method: string, path: string): Endpoint | null {
  const [plain = ''] = path.split('?')
  const found = endpoints.filter((one) => one.method === method && pattern(one).test(plain))
  return found.find(({ url }) => url === plain) ?? found[0] ?? null
}

export interface Answered {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly contentType: string
  readonly body: unknown
}

/** What an answer has that the document does not tell of, or the other way round; null: it is as documented. */
export function undocumented({ method, path, status, contentType, body }: Answered): string | null {
  const endpoint = endpointOf(method, path)
  if (!endpoint || path.startsWith('/health?') || path === '/health') return null
  const { success } = endpoint
  if (status === success.status) {
    if (success.schema) return contentType.startsWith('application/json') ? validate(success.schema, body) : `content-type ${contentType}`
    return null
  }
  if (!problemStatuses(endpoint).includes(status))
    return `status ${status} is not documented for ${method} ${endpoint.url}: ${JSON.stringify(body)}`
  if (!contentType.startsWith('application/problem+json')) return `content-type ${contentType}`
  return validate(problem, body)
}
