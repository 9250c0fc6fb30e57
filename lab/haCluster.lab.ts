// The example ha-cluster, as somebody who has just cloned this would start it, with fewer users and without the death of the
// engine that leads, which takes a minute to be succeeded.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

test('the example ha-cluster is right again after each piece that it kills, and its last line says that nothing was lost', async () => {
  const example = run('--kill', '--short', '--users', '90')
  const code = await example.ended
  expect(example.output()).not.toContain('✗')
  expect(example.output().match(/✓ right again/g)).toHaveLength(5)
  expect(example.output().trimEnd().split('\n').at(-1)).toBe('lost: nothing')
  expect(code).toBe(0)
}, 900_000)

test('Ctrl-C ends the example in good order: nothing is left of it', async () => {
  const example = run('--users', '9')
  await example.says(/Ctrl-C ends it/)
  const folder = /everything is in (\S+)/.exec(example.output())?.[1] ?? ''
  const [dashboard = ''] = /http:\S+(?=\/api\/dashboard)/.exec(example.output()) ?? []
  expect(existsSync(folder)).toBe(true)
  expect((await fetch(`${dashboard}/health/live`)).status).toBe(200)
  // As a terminal does it: everybody who runs in front hears it.
  process.kill(-(example.child.pid ?? 0), 'SIGINT')
  // npm itself ends by the signal; what it has started ends in its own order, and only then is nobody there to write any more.
  await example.ended
  // While both engines are told to end the second one may still have something to tell.
  expect(example.output()).toMatch(/ending …\n(?:\d\d:\d\d:\d\d {2}engine \d {2}.*\n)*$/)
  expect(existsSync(folder)).toBe(false)
  await expect(fetch(`${dashboard}/health/live`)).rejects.toThrow()
}, 300_000)

function run(...args: readonly string[]) {
  const child: ChildProcess = spawn('npm', ['run', '-s', 'ha-cluster', '--', ...args], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let wake = () => {}
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      wake()
    })
  const ended = once(child, 'close').then(([code]) => code as number | null)
  void ended.then(() => wake())
  return {
    child,
    ended,
    output: () => output,
    says: async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(output)) {
        if (child.exitCode !== null) throw new Error(`it has ended with ${child.exitCode}: ${output}`)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}
