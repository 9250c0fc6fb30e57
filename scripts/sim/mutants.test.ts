import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { mutants, mutate } from './mutants.ts'

const source = (file: string): string => readFileSync(new URL(`../../packages/core/src/${file}`, import.meta.url), 'utf8')

test('each mutant finds its piece of the engine exactly once, and changes it', () => {
  for (const mutant of mutants) expect(mutate(source(mutant.file), mutant)).not.toBe(source(mutant.file))
})

test('a mutant whose piece is gone, or there twice, is an error and not a silent success', () => {
  const [mutant] = mutants
  if (!mutant) throw new Error('there are no mutants')
  expect(() => mutate('', mutant)).toThrow(/0 times/)
  expect(() => mutate(`${mutant.find} ${mutant.find}`, mutant)).toThrow(/2 times/)
})

test('there are at least fifteen, each with a name of its own', () => {
  expect(mutants.length).toBeGreaterThanOrEqual(15)
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length)
})
