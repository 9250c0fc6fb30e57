import type { IncomingHttpHeaders } from 'node:http'
import { Refusal } from './refusal.ts'

/** What a WebSocket of a browser, which can set no header, offers beside the protocol that it wants: `pintail.bearer.<token>`. */
const bearerProtocol = 'pintail.bearer.'
/** The protocol that a WebSocket speaks here. The one with the token is never answered. */
export const protocol = 'pintail'
const remedy = 'Send Authorization: Bearer with a token or a key, or X-API-Key with a key.'

/**
 * The one credential of a request: a token or a key. Never from the URL, which is kept in logs and histories of others.
 * @throws Refusal if there is none, or more than one
 */
export function credentialOf(headers: IncomingHttpHeaders, isUpgrade: boolean): string {
  const found = [...ofAuthorization(headers.authorization), ...ofKey(headers['x-api-key']), ...(isUpgrade ? ofProtocols(headers) : [])]
  const [credential] = found
  if (credential === undefined) throw new Refusal('credentials_missing', { detail: 'The request names no account.', remedy })
  if (found.length > 1)
    throw new Refusal('credentials_invalid', { detail: 'The request has more than one credential.', remedy: 'Send one of them.' })
  return credential
}

function ofAuthorization(header: string | undefined): readonly string[] {
  if (header === undefined) return []
  const [, credential] = /^Bearer +([^\s,]+)$/i.exec(header) ?? []
  if (credential === undefined) throw new Refusal('credentials_invalid', { detail: 'Authorization has no Bearer credential.', remedy })
  return [credential]
}

function ofKey(header: string | string[] | undefined): readonly string[] {
  return header === undefined ? [] : [header].flat()
}

function ofProtocols({ 'sec-websocket-protocol': header = '' }: IncomingHttpHeaders): readonly string[] {
  const offered = header.split(',').map((word) => word.trim())
  return offered.filter((word) => word.startsWith(bearerProtocol)).map((word) => word.slice(bearerProtocol.length))
}
