import { expect, test } from 'vitest'
import { runSteps, type Step } from './steps.ts'

async function lines(steps: readonly Step[]) {
  const printed: string[] = []
  const tally = await runSteps(steps, (line) => printed.push(line.replace(/\d+\.\d s/, 'T')))
  return { tally, printed }
}

test('a failed or throwing step does not keep the next ones from running', async () => {
  const { tally, printed } = await lines([
    { name: 'one', run: () => ({ ok: false, problem: 'two\nlines', remedy: 'mend it' }) },
    {
      name: 'two',
      run: () => {
        throw new Error('oops')
      },
    },
    { name: 'three', run: async () => ({ ok: true, note: 'fine' }) },
  ])
  expect(tally).toEqual({ passed: 1, failed: 2, skipped: 0 })
  expect(printed.slice(0, 4)).toEqual(['✗ one (T)', '    two\n    lines', '    remedy: mend it', '✗ two (T)'])
  expect(printed.at(-2)).toBe('✓ three (T): fine')
  expect(printed.at(-1)).toBe('failed: one, two')
})

test('a step that needs a failed one counts as failed, unrun', async () => {
  let ran = false
  const { tally, printed } = await lines([
    { name: 'build', run: () => ({ ok: false, problem: 'x' }) },
    {
      name: 'pack',
      needs: 'build',
      run: () => {
        ran = true
        return { ok: true }
      },
    },
  ])
  expect(ran).toBe(false)
  expect(tally.failed).toBe(2)
  expect(printed).toContain('    not run, because "build" failed')
})

test('a long problem is cut, and says so', async () => {
  const problem = Array.from({ length: 150 }, (_, index) => `line ${index}`).join('\n')
  const { printed } = await lines([{ name: 'one', run: () => ({ ok: false, problem }) }])
  expect(printed[1]?.split('\n')).toHaveLength(101)
  expect(printed[1]).toMatch(/… and 50 more lines$/)
})
