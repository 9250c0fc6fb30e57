/** The keyboard: bytes in, wishes out. Works on a terminal (raw) and on a pipe, so that keys can be scripted. */
import type { ReadStream } from 'node:tty'

export type Wish = { readonly do: 'toggle'; readonly server: number } | { readonly do: 'pause' | 'approve' | 'mode' | 'why' | 'quit' }

const letters = { p: 'pause', a: 'approve', m: 'mode', w: 'why', q: 'quit' } as const

/** Keys that mean nothing are ignored, also the escape sequences of arrows and function keys. */
export function wishesOf(text: string, servers: number): Wish[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  const keys = text.replace(/\u001b(?:\[[\d;?]*[ -/]*[@-~]|O.|.)?/g, '')
  return [...keys].flatMap((key): Wish | readonly [] => {
    // In raw mode Ctrl-C and Ctrl-D are only bytes.
    if (key === '\u0003' || key === '\u0004') return { do: 'quit' }
    const digit = key >= '1' && key <= '9' ? Number(key) : 0
    if (digit > 0) return digit <= servers ? { do: 'toggle', server: digit - 1 } : []
    const letter = key.toLowerCase()
    return letter in letters ? { do: letters[letter as keyof typeof letters] } : []
  })
}

/** Listens until disposed. Without anybody at the other end nothing is heard, and nothing keeps the process alive. */
export function listen(input: ReadStream | NodeJS.ReadStream, servers: number, take: (wish: Wish) => void): Disposable {
  const onData = (chunk: string): void => {
    for (const wish of wishesOf(chunk, servers)) take(wish)
  }
  const raw = input.isTTY === true
  if (raw) input.setRawMode(true)
  input.setEncoding('utf8').on('data', onData).resume()
  input.on('error', () => {})
  return {
    [Symbol.dispose]() {
      input.off('data', onData).pause()
      if (raw) input.setRawMode(false)
      // A pipe whose writer stays open would hold the process.
      if ('unref' in input && typeof input.unref === 'function') input.unref()
    },
  }
}
