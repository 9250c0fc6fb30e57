// npm run docs:detect: writes docs/detection.md and docs/detection.svg from the kept run of the benchmark `detect`.
// With --measure it runs the benchmark first, and keeps what it says in docs/detection.json.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import detect from '../bench/detect.bench.ts'
import { type BenchLine, lineOf } from '../bench/harness.ts'
import { type KeptRun, withFigures } from './docs/detection.ts'
import { detectionPicture } from './docs/detectionPicture.ts'
import { root } from './lib/packages.ts'

const path = (name: string): string => join(root, 'docs', name)

if (process.argv.includes('--measure')) {
  const lines: BenchLine[] = []
  const progress = (text: string): void => void process.stderr.write(`detect: ${text}\n`)
  await detect((line) => void lines.push(lineOf('detect', line)), { name: 'detect', args: [], progress })
  const rows = lines.map((line) => `    ${JSON.stringify(line)}`).join(',\n')
  writeFileSync(path('detection.json'), `{\n  "date": "${new Date().toISOString().slice(0, 10)}",\n  "lines": [\n${rows}\n  ]\n}\n`)
}
const run = JSON.parse(readFileSync(path('detection.json'), 'utf8')) as KeptRun
writeFileSync(path('detection.md'), withFigures(readFileSync(path('detection.md'), 'utf8'), run))
writeFileSync(path('detection.svg'), detectionPicture(run))
