import { createHmac } from 'node:crypto'
import { PintailError } from '@pintail/core'

/**
 * The key in a secret of Standard Webhooks: `whsec_` and the base64 of 24 to 64 bytes.
 * @throws PintailError `invalid_options`, without the secret
 */
export function keyOf(secret: unknown): Buffer {
  const [, text = null] = (typeof secret === 'string' && /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)) || []
  const key = Buffer.from(text ?? '', 'base64')
  if (text !== null && key.length >= 24 && key.length <= 64 && key.toString('base64') === text) return key
  throw new PintailError('invalid_options', 'webhook: a secret must be whsec_ and the base64 of 24 to 64 bytes', {
    remedy: 'Make one: echo "whsec_$(openssl rand -base64 32)".',
  })
}

/**
 * The headers of Standard Webhooks (version 1, HMAC-SHA256), one signature a key. Twenty lines of node:crypto instead of
 * the package: that one brings its own SHA-256 in JavaScript, and signs with one key at a time.
 * @param seconds since 1970, of this try
 */
export function signed(id: string, seconds: number, body: string, keys: readonly Buffer[]): Record<string, string> {
  const signatures = keys.map((key) => `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')}`)
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signatures.join(' ') }
}
