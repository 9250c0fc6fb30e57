import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Scenario } from './sim/scenario.ts'

const folder = new URL('./scenarios/', import.meta.url)
const files = readdirSync(folder).filter((name) => name.endsWith('.ts'))

describe('scenarios', async () => {
  const scenarios = await Promise.all(
    files.map(async (file) => ({ file, ...((await import(new URL(file, folder).href)) as { it: Scenario }).it })),
  )
  for (const { rule, run } of scenarios) test(rule, run)

  test('each file is named after its rule', () => {
    const named = ({ rule }: Scenario) =>
      `${rule
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-|-$/g, '')}.ts`
    expect(scenarios.filter((one) => named(one) !== one.file).map((one) => [one.file, named(one)])).toEqual([])
  })
})
