import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromColumn, toColumn } from './text.ts'

test('every JSON comes back as it was', () => {
  const awkward = fc
    .array(fc.constantFrom('\0', '\ud800', '\udfff', '\uf8ff', '\\', 'u0000', 'ud800', '"', '🦆', '\n', 'a', '0000'), { maxLength: 12 })
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        awkward.map((text) => JSON.stringify({ [text]: [text] })),
      ),
      (json) => {
        const normal = JSON.stringify(JSON.parse(json))
        expect(fromColumn(toColumn(normal))).toBe(normal)
      },
    ),
    { seed: 4, numRuns: 2000 },
  )
})

test('what is written has no escape that PostgreSQL cannot take apart', () => {
  const json = toColumn(JSON.stringify(['\0', '\ud800x', 'x\udc00', '\\u0000', '🦆', '\uf8ff']))
  expect(JSON.parse(json)).toEqual(['\uf8ff0000', '\uf8ffd800x', 'x\uf8ffdc00', '\\u0000', '🦆', '\uf8ff\uf8ff'])
})
