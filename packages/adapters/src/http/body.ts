import { PintailError } from '@pintail/core'

/**
 * The bytes of an answer, at most `maxBytes`: what is longer is cut off, and its connection closed.
 * @throws PintailError `unavailable` when it is longer; whatever the stream throws
 */
export async function readBytes(response: Response, maxBytes: number): Promise<Uint8Array> {
  const stream = response.body
  if (!stream) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let length = 0
  // Leaving the loop early cancels the stream.
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength
    if (length > maxBytes) throw new PintailError('unavailable', `the answer is longer than ${maxBytes} bytes, and was cut off`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Reads a text in the charset that it is declared in; without one UTF-8, and Windows-1251 where it is not that. */
export function decode(bytes: Uint8Array, contentType: string | null): string {
  const declared = /charset\s*=\s*"?([^\s";]+)/i.exec(contentType ?? '')?.[1]
  for (const [charset, fatal] of [
    [declared, false],
    [bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : undefined, false],
    ['utf-8', true],
  ] as const)
    try {
      if (charset !== undefined) return new TextDecoder(charset, { fatal }).decode(bytes)
    } catch {
      // An unknown charset, or no UTF-8 after all.
    }
  return new TextDecoder('windows-1251').decode(bytes)
}
