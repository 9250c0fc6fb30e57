import type { SampleInput } from '../ports.ts'
import type { Token } from '../vocabulary.ts'

/** Who leads, as it tells the others. */
export interface Lead {
  readonly token: Token
  readonly since: number
  /** Who shares the steady checks, itself included, while its own prober is of use. */
  readonly members: readonly { readonly id: string; readonly region: string | null }[]
  /** Servers that all others are to look at closely. */
  readonly look: readonly string[]
}

/** What an engine tells the others: who it is, what it has seen since its last post, and what the leader wants of them. */
export interface Body {
  readonly version: 1
  /** Its own vantage. */
  readonly vantage: string
  readonly region: string | null
  /** It goes: nobody waits for its next post. */
  readonly leaves: boolean
  readonly lead: Lead | null
  /** Read with the same care as samples from anywhere. Those of its own vantage have its name. */
  readonly samples: readonly SampleInput[]
}

const isText = (value: unknown, most: number): value is string => typeof value === 'string' && value.length > 0 && value.length <= most
const isRegion = (value: unknown): value is string | null => value === null || isText(value, 100)
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** @returns null: another version has written it, or nobody whom we know */
export function parseBody(input: unknown): Body | null {
  if (!isObject(input) || input.version !== 1) return null
  const { vantage, region, leaves, samples } = input
  if (!isText(vantage, 100) || !isRegion(region) || typeof leaves !== 'boolean' || !Array.isArray(samples)) return null
  const lead = input.lead === null ? null : parseLead(input.lead)
  return lead === undefined ? null : { version: 1, vantage, region, leaves, lead, samples }
}

function parseLead(input: unknown): Lead | undefined {
  if (!isObject(input)) return undefined
  const { token, since, members, look } = input
  if (typeof token !== 'number' || typeof since !== 'number' || !Array.isArray(members) || !Array.isArray(look)) return undefined
  if (!members.every((one) => isObject(one) && isText(one.id, 200) && isRegion(one.region))) return undefined
  return { token: token as Token, since, members, look: look.filter((id) => typeof id === 'string') }
}
