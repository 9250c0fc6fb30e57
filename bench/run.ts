// npm run bench -- [name]: one JSON object a line on stdout, everything for people on stderr.
// Without a name all run, each in a process of its own (so that no heap or JIT state is shared), and bench/RESULTS.md
// is written. A missed aim prints "ok":false and is no error; a benchmark that throws is.
import { spawn } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { type Bench, type BenchLine, lineOf } from './harness.ts'
import { markdownResults, textTable, thisMachine } from './results.ts'

const folder = import.meta.dirname
const ending = '.bench.ts'
const names = readdirSync(folder)
  .filter((file) => file.endsWith(ending))
  .map((file) => file.slice(0, -ending.length))
  .sort()

// 6.18.44-local-name → 6.18.44
const kernel = (): string => /^\d+(\.\d+)*/.exec(release())?.[0] ?? release()

const tell = (text: string): void => void process.stderr.write(`${text}\n`)

async function runOne(name: string, args: readonly string[]): Promise<void> {
  const module = (await import(pathToFileURL(join(folder, `${name}${ending}`)).href)) as { default: Bench }
  let lines = 0
  await module.default(
    (line) => {
      lines += 1
      process.stdout.write(`${JSON.stringify(lineOf(name, line))}\n`)
    },
    { name, args, progress: (text) => tell(`${name}: ${text}`) },
  )
  if (lines === 0) throw new Error(`the benchmark "${name}" ended without a line`)
}

/** Runs one in a process of its own, passes its lines on, and answers them. */
async function runApart(name: string): Promise<{ lines: BenchLine[]; failed: boolean }> {
  const child = spawn(process.execPath, [...process.execArgv, import.meta.filename, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)))
  const lines: BenchLine[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    process.stdout.write(`${line}\n`)
    lines.push(JSON.parse(line) as BenchLine)
  }
  return { lines, failed: (await ended) !== 0 }
}

async function runAll(): Promise<void> {
  const lines: BenchLine[] = []
  const failed: string[] = []
  for (const name of names) {
    tell(`── ${name}`)
    const outcome = await runApart(name)
    lines.push(...outcome.lines)
    if (outcome.failed) failed.push(name)
  }
  tell(`\n${textTable(lines)}`)
  if (failed.length > 0) {
    // A table with holes would look like a full one.
    tell(`\nfailed: ${failed.join(', ')}; bench/RESULTS.md is left as it was`)
    process.exitCode = 1
    return
  }
  const date = new Date().toISOString().slice(0, 10)
  writeFileSync(join(folder, 'RESULTS.md'), markdownResults(lines, thisMachine(kernel()), date))
  tell('\nwritten: bench/RESULTS.md')
}

const [name, ...args] = process.argv.slice(2)
if (name === undefined && names.length > 0) await runAll()
else if (name !== undefined && names.includes(name)) await runOne(name, args)
else {
  tell(`there is no benchmark "${name ?? '*'}"; there are: ${names.join(', ') || 'none yet'}`)
  process.exitCode = 1
}
