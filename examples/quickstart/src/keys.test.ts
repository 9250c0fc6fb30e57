import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { listen, type Wish, wishesOf } from './keys.ts'

test('a number means its server, and none beyond the last', () => {
  expect(wishesOf('18', 8)).toEqual([
    { do: 'toggle', server: 0 },
    { do: 'toggle', server: 7 },
  ])
  expect(wishesOf('903', 2)).toEqual([])
})

test('Ctrl-C and Ctrl-D quit, as in raw mode they are only bytes', () => {
  for (const key of ['\u0003', '\u0004', 'q', 'Q']) expect(wishesOf(key, 8)).toEqual([{ do: 'quit' }])
})

test('arrows, function keys and other keys mean nothing', () => {
  for (const key of ['\u001b[A', '\u001b[1;5C', '\u001bOP', '\u001b[15~', '\u001b', 'x', 'é', '\n', ' '])
    expect(wishesOf(key, 8)).toEqual([])
  expect(wishesOf('\u001b[1~p', 8)).toEqual([{ do: 'pause' }])
})

test('a keyboard that is let go is no longer heard', () => {
  const input = new PassThrough()
  const heard: Wish[] = []
  const keys = listen(input as unknown as NodeJS.ReadStream, 8, (wish) => heard.push(wish))
  input.emit('data', 'p')
  keys[Symbol.dispose]()
  input.emit('data', 'q')
  expect(heard).toEqual([{ do: 'pause' }])
  expect(input.listenerCount('data')).toBe(0)
})
