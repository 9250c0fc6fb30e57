import { parseHost } from '@pintail/core'
import { nearest } from './nearest.ts'

/** What is wrong with a value, and what would be right, both in words. */
export interface Fault {
  readonly is: string
  readonly right: string
}
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: Fault }

/** A kind of value: how it is read from an environment variable, a flag or a file, and how it is shown. */
export interface Kind<T> {
  /** The values that are accepted, for tables and messages: `seconds, 0.05–86400`. */
  readonly accepts: string
  /** What stands for the value in `--help`. */
  readonly argument: string
  /** @param raw a text that is not empty, or what a YAML or JSON file has */
  read(raw: unknown): Read<T>
  show(value: T): string
  /** What is given holds a secret: no message shows it, not even a wrong one. */
  readonly isSecret?: true
}

const good = <T>(value: T): Read<T> => ({ ok: true, value })
const bad = (is: string, right: string): Read<never> => ({ ok: false, fault: { is, right } })

type Unit = 'seconds' | 'milliseconds' | 'percent' | 'packets' | 'checks' | 'users' | 'servers' | 'port'

interface Range {
  readonly unit: Unit
  readonly min: number
  readonly max: number
  readonly whole?: true
}

/** How much of each suffix makes one of the unit, for "3s" and "5m". */
const suffixes: Readonly<Partial<Record<Unit, Readonly<Record<string, number>>>>> = {
  seconds: { ms: 0.001, s: 1, sec: 1, secs: 1, second: 1, seconds: 1, m: 60, min: 60, minutes: 60, h: 3600 },
  milliseconds: { ms: 1, millis: 1, milliseconds: 1, s: 1000, sec: 1000 },
  percent: { '%': 1, percent: 1 },
}

/** A plain number in its unit; a number with a unit behind it is refused with the figure that was meant. */
export function number({ unit, min, max, whole }: Range): Kind<number> {
  const what = `${whole ? 'a whole number' : 'a number'}${unit === 'port' ? '' : ` of ${unit}`} from ${min} to ${max}`
  const inRange = (value: number): Read<number> => {
    if (Number.isNaN(value)) return bad('is not a number', `give ${what}`)
    if (value < min || value > max) return bad(value < 0 ? 'is negative' : 'is out of range', `give ${what}`)
    if (whole && !Number.isInteger(value)) return bad('is not a whole number', `give ${what}`)
    return good(value)
  }
  return {
    accepts: unit === 'port' ? `${min}–${max}` : `${unit}, ${min}–${max}${whole ? ', whole' : ''}`,
    argument: unit === 'port' ? 'port' : unit,
    show: String,
    read(raw) {
      if (typeof raw === 'number') return inRange(raw)
      if (typeof raw !== 'string') return bad('is not a number', `give ${what}`)
      const text = raw.trim()
      if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return inRange(Number(text))
      const [, figure, suffix = ''] = /^([+-]?\d*\.?\d+)\s*([a-z]+|%)$/i.exec(text) ?? []
      const factor = suffixes[unit]?.[suffix.toLowerCase()]
      if (figure !== undefined && factor !== undefined)
        return bad('has a unit', `give ${unit} as a plain number: ${Number((Number(figure) * factor).toPrecision(12))}`)
      if (/^\d+,\d+$/.test(text)) return bad('has a comma', `give it with a point: ${text.replace(',', '.')}`)
      return bad('is not a number', `give ${what}`)
    },
  }
}

/** One of a few words. `later` are words that will be accepted one day, and are refused by name until then. */
export function choice<const W extends string>(words: readonly W[], later: readonly string[] = []): Kind<W> {
  return {
    accepts: words.join(', '),
    argument: words.join('|').length <= 24 ? words.join('|') : 'word',
    show: String,
    read(raw) {
      const text = String(raw).trim()
      const found = words.find((word) => word === text)
      if (found !== undefined) return good(found)
      const all = words.length === 1 ? `give ${words[0]}` : `give one of ${words.join(', ')}`
      if (later.includes(text)) return bad('is not built yet', all)
      const meant = nearest(text, words)
      return bad('is not known', meant ? `did you mean ${meant}? Otherwise ${all}` : all)
    },
  }
}

/** A number, or the word `none`. */
export function orNone(kind: Kind<number>): Kind<number | null> {
  return {
    accepts: `${kind.accepts}, or none`,
    argument: kind.argument,
    show: (value) => (value === null ? 'none' : kind.show(value)),
    read(raw) {
      if (raw === null || (typeof raw === 'string' && raw.trim() === 'none')) return good(null)
      const read = kind.read(raw)
      return read.ok ? read : bad(read.fault.is, `${read.fault.right}, or none`)
    },
  }
}

const words: Readonly<Record<string, boolean>> = { on: true, true: true, yes: true, 1: true, off: false, false: false, no: false, 0: false }

export function toggle(): Kind<boolean> {
  return {
    accepts: 'on, off',
    argument: 'on|off',
    show: (value) => (value ? 'on' : 'off'),
    read(raw) {
      const value = words[String(raw).trim().toLowerCase()]
      return value === undefined ? bad('is not known', 'give on or off') : good(value)
    },
  }
}

/** The base URL of a service, kept without a slash at its end. */
export function serviceUrl(): Kind<string> {
  const right = 'give the address of the service, such as http://database-service:5002'
  return {
    accepts: 'http or https URL',
    argument: 'url',
    // A password in a URL is for the connection, not for eyes.
    show: (value) => value.replace(/(\w:\/\/)[^\s/@]*@/, '$1***@'),
    read(raw) {
      const text = String(raw).trim()
      if (text === '') return good(text)
      const url = URL.canParse(text) ? new URL(text) : null
      if (!url) return bad('is not a URL', right)
      if (url.protocol !== 'http:' && url.protocol !== 'https:') return bad('is not an http or https URL', right)
      if (url.search || url.hash) return bad('has a query or a fragment', 'give the base URL alone')
      return good(text.replace(/\/+$/, ''))
    },
  }
}

/** The address of a database, with a password in it more often than not. Empty: none. */
export function postgresUrl(): Kind<string> {
  const right = 'give its address, such as postgres://pintail:PASSWORD@db.example:5432/pintail'
  return {
    accepts: 'postgres URL',
    argument: 'url',
    isSecret: true,
    // The query may hold a password too.
    show: (value) => value.replace(/(\w:\/\/)[^\s/]*@/, '$1***@').replace(/\?.*$/, ''),
    read(raw) {
      const text = String(raw).trim()
      const url = URL.canParse(text) ? new URL(text) : null
      if (!url) return bad('is not a URL', `${right}; a password with other signs than letters and digits is percent-encoded`)
      if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') return bad('is not a postgres URL', right)
      return good(text)
    },
  }
}

const mostServers = 16

/** `nats://a.example:4222, tls://b.example`. Whoever one is there is said elsewhere. Empty: none. */
export function natsUrls(): Kind<readonly string[]> {
  const right = 'give its address, such as nats://nats.example:4222; several servers of one cluster are separated by commas'
  return {
    accepts: 'nats or tls URLs, separated by commas',
    argument: 'urls',
    // A password may stand in what is wrong.
    isSecret: true,
    show: (urls) => urls.join(','),
    read(raw) {
      const parts = (Array.isArray(raw) ? raw.map(String) : String(raw).split(',')).map((part) => part.trim()).filter((part) => part !== '')
      if (parts.length === 0) return String(raw) === '' ? good([]) : bad('names no server', right)
      if (parts.length > mostServers) return bad(`has ${parts.length} servers`, `give up to ${mostServers}`)
      for (const part of parts) {
        const url = URL.canParse(part) ? new URL(part) : null
        if (!url || url.host === '' || !['nats:', 'tls:'].includes(url.protocol)) return bad('is no nats or tls URL', right)
        if (url.username || url.password)
          return bad('has a user in it', 'give the user in PINTAIL_NATS_USER, and a file with the password in PINTAIL_NATS_PASSWORD_FILE')
        if (url.search || url.hash || !['', '/'].includes(url.pathname)) return bad('has more than a host and a port', right)
      }
      return good(parts.map((part) => part.replace(/\/$/, '')))
    },
  }
}

/** Ids, separated by commas. Empty: none. */
export function ids(what: string, most: number): Kind<readonly string[]> {
  const right = `give up to ${most} ids of ${what}, separated by commas`
  return {
    accepts: `ids of ${what}, separated by commas`,
    argument: 'ids',
    show: (list) => list.join(','),
    read(raw) {
      const given = Array.isArray(raw) ? raw : String(raw).split(',')
      const all = given.map((one) => String(one).trim()).filter((one) => one !== '')
      if (all.length > most) return bad(`has ${all.length} ids`, right)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be in an id
      if (all.some((one) => one.length > 200 || /[\u0000-\u001f\u007f]/.test(one))) return bad('has an id that is none', right)
      if (new Set(all).size < all.length) return bad('has an id twice', right)
      return good(all)
    },
  }
}

interface Shape {
  readonly pattern: RegExp
  readonly accepts: string
  readonly right: string
}

export function word({ pattern, accepts, right }: Shape): Kind<string> {
  return {
    accepts,
    argument: 'name',
    show: String,
    read: (raw) => (pattern.test(String(raw).trim()) ? good(String(raw).trim()) : bad('is no such name', right)),
  }
}

/** A port on this address is opened. */
export function listenHost(): Kind<string> {
  return {
    accepts: 'address of this machine',
    argument: 'address',
    show: String,
    read(raw) {
      try {
        return good(parseHost(String(raw).trim()))
      } catch {
        return bad('is no address', 'give 127.0.0.1 for this machine alone, 0.0.0.0 for everybody who can reach it')
      }
    },
  }
}

export function path(accepts: string): Kind<string> {
  return {
    accepts,
    argument: 'file',
    show: String,
    read: (raw) => (typeof raw === 'string' ? good(raw) : bad('is no path', `give the ${accepts}`)),
  }
}

export interface HostAndPort {
  readonly host: string
  readonly port?: number
}

const mostHosts = 16

/** `1.1.1.1, resolver.example:53, [2001:db8::1]:53` */
export function hosts(): Kind<readonly HostAndPort[]> {
  const right = `give up to ${mostHosts} hosts, separated by commas, each as host or host:port`
  return {
    accepts: 'hosts or host:port, separated by commas',
    argument: 'hosts',
    show: (list) => list.map(showHost).join(','),
    read(raw) {
      const parts = (Array.isArray(raw) ? raw.map(String) : String(raw).split(',')).map((part) => part.trim())
      const read = parts.map(hostAndPort)
      const wrong = parts.filter((_, index) => read[index] === null)
      if (wrong.length > 0) return bad(`has ${wrong.map((part) => JSON.stringify(part.slice(0, 60))).join(', ')}, which is no host`, right)
      if (read.length > mostHosts) return bad(`has ${read.length} hosts`, right)
      return good(read.filter((one) => one !== null))
    },
  }
}

const showHost = ({ host, port }: HostAndPort): string =>
  port === undefined ? host : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

function hostAndPort(text: string): HostAndPort | null {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && (port < 1 || port > 65_535)) return null
  try {
    const host = parseHost(bracketed ?? plain ?? text)
    return port === undefined ? { host } : { host, port }
  } catch {
    return null
  }
}
