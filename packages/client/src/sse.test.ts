import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Frame, SseParser } from './sse.ts'

function read(pieces: readonly string[], mostChars = 10_000): Frame[] {
  const parser = new SseParser(mostChars)
  return pieces.flatMap((piece) => [...parser.feed(piece)])
}

/** The text in pieces, cut at these places. */
function cut(text: string, at: readonly number[]): string[] {
  const places = [0, ...at.map((one) => one % (text.length + 1)).sort((a, b) => a - b), text.length]
  return places.slice(1).map((end, index) => text.slice(places[index], end))
}

test('however a stream is cut into pieces, it has the same messages', () => {
  const line = fc.constantFrom('data: {"a":1}', 'data:x', 'data', ': beat', 'id: 7', 'id', 'event: snapshot', 'retry: 1500', 'odd', '')
  const end = fc.constantFrom('\n', '\r\n', '\r')
  fc.assert(
    fc.property(fc.array(fc.tuple(line, end), { maxLength: 30 }), fc.array(fc.nat(), { maxLength: 10 }), (lines, places) => {
      const text = lines.map((one) => one.join('')).join('')
      expect(read(cut(text, places))).toEqual(read([text]))
    }),
    { seed: 4, numRuns: 500 },
  )
})

test('a message has its data and its id; comments, beats and empty messages are none', () => {
  const text = 'retry: 2500\n\n: beat\n\nid: 3\ndata: {"x":\ndata: 1}\n\nid: 4\n\ndata:a\n\n'
  const parser = new SseParser(1000)
  expect([...parser.feed(text)]).toEqual([
    { id: '3', data: '{"x":\n1}' },
    { id: null, data: 'a' },
  ])
  expect(parser.retryMs).toBe(2500)
})

test('what is cut off in the middle is no message', () => {
  expect(read(['id: 9\ndata: {"a":1}'])).toEqual([])
  expect(read(['id: 9\ndata: {"a":1}\n'])).toEqual([])
})

test('a message is bounded, and beats are not counted against it', () => {
  expect(() => read(['data: ', 'x'.repeat(600), 'y'.repeat(600)], 1000)).toThrow(expect.objectContaining({ code: 'answer_too_large' }))
  expect(() =>
    read(
      Array.from({ length: 300 }, () => 'data: x\n'),
      1000,
    ),
  ).toThrow('1000')
  expect(read([...Array.from({ length: 500 }, () => ': beat\n\n'), 'data: x\n\n'], 100)).toHaveLength(1)
})
