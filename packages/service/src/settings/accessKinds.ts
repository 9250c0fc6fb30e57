import type { ApiKey } from '../accounts/keys.ts'
import { type Role, roles } from '../accounts/roles.ts'
import type { Kind, Read } from './kinds.ts'

const good = <T>(value: T): Read<T> => ({ ok: true, value })
const bad = (is: string, right: string): Read<never> => ({ ok: false, fault: { is, right } })

/** A text that nobody may see. Empty: none. @param least its shortest length */
export function secret(least: number, most: number): Kind<string> {
  return {
    accepts: `${least}–${most} characters`,
    argument: 'secret',
    isSecret: true,
    show: (value) => (value === '' ? '' : '***'),
    read(raw) {
      if (typeof raw !== 'string') return bad('is no text', 'put it in quotes')
      const text = raw.trim()
      if (text === '') return good(text)
      if (text.startsWith('-----BEGIN')) return bad('is a key in PEM form', 'a public key is no secret: give it as PINTAIL_JWT_JWKS')
      if (text.length < least || text.length > most)
        return bad(`has ${text.length} characters`, `give ${least} to ${most}, such as the answer of: openssl rand -base64 48`)
      if (isKnown(text)) return bad('is one that others know', 'give chance, such as the answer of: openssl rand -base64 48')
      return good(text)
    },
  }
}

/** A password that somebody else has chosen, as it is. Empty: none. */
export function password(): Kind<string> {
  return {
    accepts: '1–1000 characters',
    argument: 'secret',
    isSecret: true,
    show: (value) => (value === '' ? '' : '***'),
    read: (raw) =>
      typeof raw === 'string' && raw.length <= 1000 ? good(raw) : bad('is no text', 'put it in quotes, up to 1000 characters'),
  }
}

/** What stands in examples, and what is hardly longer than its first letters. */
const isKnown = (text: string): boolean => /your.*(?:secret|key)|change.?(?:me|it|in)|example/i.test(text) || new Set(text).size < 8

/** A text as it is. Empty: none. */
export function plainText(accepts: string): Kind<string> {
  return {
    accepts,
    argument: 'text',
    show: String,
    read: (raw) => (typeof raw === 'string' && raw.length <= 500 ? good(raw.trim()) : bad('is no text', `give ${accepts}`)),
  }
}

/** Public keys: whoever could change them on the way could make tokens. */
export function jwks(): Kind<string> {
  const right = 'give an https URL, or the path of a file with {"keys": […]}'
  return {
    accepts: 'https URL or path of a file',
    argument: 'url|file',
    show: (value) => value.replace(/(\w:\/\/)[^\s/@]*@/, '$1***@'),
    read(raw) {
      if (typeof raw !== 'string') return bad('is no URL and no path', right)
      const text = raw.trim()
      if (!/^[a-z][\w+.-]*:\/\//i.test(text)) return good(text)
      const url = URL.canParse(text) ? new URL(text) : null
      if (!url) return bad('is not a URL', right)
      const isHere = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)
      if (url.protocol === 'https:' || (url.protocol === 'http:' && isHere)) return good(text)
      return bad('can be changed on its way', right)
    },
  }
}

const mostKeys = 1000
export const keyNamePattern = /^[\w.-]{1,64}$/

/** `grafana:viewer:<sha256>, ops:operator:<sha256>:2027-01-31`, or a list of objects in a file. */
export function apiKeys(): Kind<readonly ApiKey[]> {
  const right = 'give each as name:role:hash or name:role:hash:date, separated by commas; pintail key makes one'
  return {
    accepts: 'name:role:hash or name:role:hash:date, separated by commas',
    argument: 'keys',
    isSecret: true,
    show: (keys) => keys.map(showKey).join(','),
    read(raw) {
      const given = Array.isArray(raw) ? raw : String(raw).split(',')
      const parts = given.map((one) => (typeof one === 'string' ? one.trim() : one)).filter((one) => one !== '')
      const read = parts.map(keyOf)
      const wrong = read.indexOf(null)
      if (wrong !== -1) return bad(`has no key that is understood as number ${wrong + 1}`, right)
      const keys = read.filter((key) => key !== null)
      if (keys.length > mostKeys) return bad(`has ${keys.length} keys`, `give up to ${mostKeys}`)
      for (const part of ['name', 'sha256'] as const)
        if (new Set(keys.map((key) => key[part])).size < keys.length)
          return bad(`has the same ${part} twice`, 'give each key one of its own')
      return good(keys)
    },
  }
}

/** Whose keys there are: a hash is no secret, and of no use to a reader. */
const showKey = ({ name, role, expiresAt }: ApiKey): string =>
  `${name}:${role}${expiresAt === null ? '' : `:until ${new Date(expiresAt).toISOString()}`}`

function keyOf(given: unknown): ApiKey | null {
  const fields = typeof given === 'string' ? fieldsOf(given) : given
  if (typeof fields !== 'object' || fields === null) return null
  const { name, role, sha256, expires = null, ...rest } = fields as Readonly<Record<string, unknown>>
  if (Object.keys(rest).length > 0) return null
  if (typeof name !== 'string' || !keyNamePattern.test(name) || !roles.includes(role as Role)) return null
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256)) return null
  const expiresAt = expires === null ? null : momentOf(expires)
  if (Number.isNaN(expiresAt)) return null
  return { name, role: role as Role, sha256: sha256.toLowerCase(), expiresAt }
}

function fieldsOf(text: string): object {
  const [name, role, sha256, ...date] = text.split(':')
  return { name, role, sha256, ...(date.length > 0 && { expires: date.join(':') }) }
}

/** A day begins in UTC. NaN: it is none. */
export const momentOf = (text: unknown): number =>
  typeof text === 'string' && /^\d{4}-\d{2}-\d{2}(T.*)?$/.test(text) ? Date.parse(text) : Number.NaN
