import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { contenders } from '../../bench/detect/policies.ts'
import { root } from '../lib/packages.ts'
import { type KeptRun, policies, withFigures } from './detection.ts'
import { detectionPicture } from './detectionPicture.ts'

const read = (name: string): string => readFileSync(join(root, 'docs', name), 'utf8')
const run = JSON.parse(read('detection.json')) as KeptRun

test('docs/detection.md and its picture hold the figures of the kept run (npm run docs:detect writes them)', () => {
  expect(read('detection.md')).toBe(withFigures(read('detection.md'), run))
  expect(read('detection.svg')).toBe(detectionPicture(run))
})

test('every policy of the benchmark is on the page', () => {
  expect([...policies].sort()).toEqual(contenders.map(({ name }) => name).sort())
})

test('every aim of a policy was judged in the kept run', () => {
  for (const { name, aims, isGuarded } of contenders) {
    const judged = run.lines.filter((line) => line.case.startsWith(`${name}/`) && 'aim' in line && line.ok !== undefined)
    expect(judged.length).toBe((aims ? 5 : 0) + (isGuarded ? 3 : 0) + (name === 'cusum' ? 1 : 0))
  }
})

test('a figure that is not in the run is an error, not a hole', () => {
  const holed = { ...run, lines: run.lines.filter((line) => line.case !== 'seed/outage/even2') }
  expect(() => detectionPicture(holed)).toThrow('no down_p50_s of seed/outage/even2')
})
