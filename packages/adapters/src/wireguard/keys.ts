/** Why this is no key; null: it is one. */
export function keyProblem(value: unknown): string | null {
  if (typeof value !== 'string') return 'must be a key: a string of 44 characters in base64'
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value)) return 'is not base64'
  const bytes = Buffer.from(value, 'base64')
  if (bytes.length !== 32) return `has ${bytes.length} bytes; a key has 32`
  if (bytes.toString('base64') !== value) return 'is not the base64 of 32 bytes, 44 characters'
  return bytes.every((byte) => byte === 0) ? 'is all zeros, which stands for no key' : null
}

export const hexOf = (key: string): string => Buffer.from(key, 'base64').toString('hex')
export const keyOfHex = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')
