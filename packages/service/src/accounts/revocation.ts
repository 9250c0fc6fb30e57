import { readConfigFile } from '../settings/file.ts'
import type { Account } from './account.ts'
import { WatchedFile } from './watched.ts'

/** Who is not believed any more, although his credential is good. */
export interface Revoked {
  /** `jti` of single tokens. */
  readonly tokens: ReadonlySet<string>
  /** Names of API keys. */
  readonly keys: ReadonlySet<string>
  /** By subject: tokens issued before this moment, milliseconds since 1970. */
  readonly subjects: ReadonlyMap<string, number>
}

/** The file of PINTAIL_REVOCATIONS, YAML or JSON. */
export const revocationFile = (path: string): WatchedFile<Revoked> => new WatchedFile(path, parseRevocations)

const lists = ['tokens', 'keys', 'subjects']

/** @throws Error naming what is wrong: a list that is misread must not let anybody in */
function parseRevocations(path: string): Revoked {
  const read = readConfigFile(path)
  if (!read.ok) throw new Error(read.faults.map(({ is, right }) => `it ${is}: ${right}`).join('; '))
  const unknown = Object.keys(read.data).filter((name) => !lists.includes(name))
  if (unknown.length > 0) throw new Error(`it has ${unknown.join(', ').slice(0, 80)}; there are ${lists.join(', ')}`)
  const { tokens, keys, subjects } = read.data
  return { tokens: new Set(words('tokens', tokens)), keys: new Set(words('keys', keys)), subjects: new Map(moments(subjects)) }
}

function words(name: string, value: unknown): readonly string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new Error(`${name} is no list`)
  return value.map((word: unknown) => {
    if (typeof word === 'string' || typeof word === 'number') return String(word)
    throw new Error(`${name} has an entry that is no text`)
  })
}

function moments(value: unknown): readonly (readonly [string, number])[] {
  if (value === undefined || value === null) return []
  if (typeof value !== 'object' || Array.isArray(value))
    throw new Error('subjects has no moments: write each as name: 2026-01-31T12:00:00Z')
  return Object.entries(value).map(([subject, at]: [string, unknown]) => {
    const moment = typeof at === 'string' ? Date.parse(at) : Number.NaN
    if (Number.isNaN(moment)) throw new Error('subjects has an entry without a moment such as 2026-01-31T12:00:00Z')
    return [subject, moment] as const
  })
}

export function isRevoked({ kind, name, tokenId, issuedAt }: Account, { tokens, keys, subjects }: Revoked): boolean {
  if (kind === 'key') return keys.has(name)
  if (kind !== 'token') return false
  if (tokenId !== null && tokens.has(tokenId)) return true
  const before = subjects.get(name)
  // A token that does not say when it was issued may be an old one.
  return before !== undefined && (issuedAt === null || issuedAt < before)
}
