import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

/** The quickstart as a process of its own, with pipes for a terminal. */
function start(...args: string[]) {
  return startIn({}, ...args)
}

function startIn(more: Record<string, string>, ...args: string[]) {
  const { FORCE_COLOR: _, ...env } = { ...process.env, ...more }
  const child = spawn(process.execPath, ['--conditions=@pintail/source', main, ...args], { env, stdio: 'pipe' })
  const output = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk) => (output.out += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk) => (output.err += chunk))
  let isOver = false
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      isOver = true
      resolve(code)
    })
  })
  const says = async (what: RegExp): Promise<void> => {
    const until = Date.now() + 90_000
    while (!what.test(output.out)) {
      if (Date.now() > until || isOver) throw new Error(`it never said ${what}:\n${output.out}\n${output.err}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  /** Out of a standstill; sent again and again, as what it says is heard before it stands. */
  const goesOn = (): void => {
    const timer = setInterval(() => child.kill('SIGCONT'), 20)
    void ended.then(() => clearInterval(timer))
  }
  return { child, output, ended, says, goesOn }
}

/** Runs in the child before everything else. */
const before = (script: string) => ({ NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(script)}` })

/** It stands still as soon as it has said this, until it `goesOn`: what happens then happens in the middle of its work. */
const standingStillAt = (what: RegExp) =>
  before(`const { stdout } = process
    const write = stdout.write
    stdout.write = function (text, ...rest) {
      const done = write.call(this, text, ...rest)
      if (!${what}.test(text)) return done
      stdout.write = write
      process.kill(process.pid, 'SIGSTOP')
      return done
    }`)

/** How long it lives on after a signal, in its own output. What the machine has stopped it for does not count. */
const watched = before(`for (const name of ['SIGINT', 'SIGTERM'])
  process.once(name, () => {
    let ticks = 0
    setInterval(() => ticks++, 10).unref()
    process.once('exit', () => console.log('\\nlived on for ' + 10 * ticks + ' ms'))
  })`)

// One after the other would wait for ten seconds each; each has a world of its own, with its own ports.
test.concurrent('--once evacuates the dead server, brings it back and exits 0', { timeout: 300_000 }, async () => {
  const { output, ended } = start('--once')
  expect(await ended, output.out + output.err).toBe(0)
  const { out } = output
  expect(output.err).toBe('')
  // Lines for people and tools: no colour, no cursor.
  expect(out).not.toContain('\x1b')
  for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100)
  expect(out).toMatch(/KILL +ams-1/)
  expect(out).toMatch(/DOWN +ams-1: .*tcp refused/)
  // Which of them is best hangs on round trips; on a machine that stands still now and then another one may be suspect.
  expect(out).toMatch(/Why these targets[\s\S]*^ {2}[a-z]{3}-\d +\d+\.\d[\s\S]*ams-1 +no target: it is the server being left/m)
  expect(out).toMatch(/users moved +47 of 47 +nobody left/)
  expect(out).toMatch(/time to detect +\d/)
  expect(out).toMatch(/time to move +\d/)
  // The whole why of one moved user: candidates, what the points of his server rest on, and who was no target.
  expect(out).toMatch(
    /^Why user-\d+ has moved to (\w+-\d)\n[\s\S]*^→ \1 [\s\S]*^ {2}room +\d+\.\d of 30 +\d+ of \d+ taken$[\s\S]*no target: it is the server being left/m,
  )
  // The table of the end, row by row: server, change, bar, load/capacity before, and the same after.
  const rows = [...out.matchAll(/^ {2}(\w+-\d) +([+−]\d+)? +[█▒░]+ (\d+)\/\d+ +[█▒░]+ (\d+)\/(\d+)$/gm)]
  expect(rows).toHaveLength(8)
  expect(rows.reduce((sum, [, , , , after]) => sum + Number(after), 0)).toBe(300)
  for (const [, id, change = '0', before, after, capacity] of rows) {
    expect(Number(after) - Number(before)).toBe(Number(change.replace('−', '-')))
    expect(Number(after), id).toBeLessThanOrEqual(Number(capacity))
    if (id === 'ams-1') expect(Number(after)).toBe(0)
  }
  expect(out).toMatch(/ams-1 is online in the books$/m)
  expect(out).not.toContain('✗')
})

test.concurrent('--once in mode suggest moves nobody before the approval, and all after it', { timeout: 300_000 }, async () => {
  const { output, ended } = start('--once', '--mode', 'suggest')
  expect(await ended, output.out + output.err).toBe(0)
  expect(output.out).toMatch(/waits for your approval[\s\S]*approved +by a person[\s\S]*47\/47[\s\S]*moved +47 users, nobody left/)
})

test.concurrent('keys work through a pipe, and q ends it with 0', { timeout: 300_000 }, async () => {
  const { child, output, ended, says } = start('--plain')
  await says(/leads/)
  child.stdin.write('2')
  await says(/KILL +ams-2/)
  await says(/moved +34 users, nobody left/)
  child.stdin.write('p')
  await says(/paused/)
  child.stdin.write('p')
  await says(/resumed/)
  child.stdin.write('m')
  await says(/mode +suggest/)
  child.stdin.write('2')
  await says(/back +ams-2/)
  child.stdin.write('q')
  expect(await ended, output.out + output.err).toBe(0)
})

test.concurrent('a third dead server is too many: its users stay until one is back', { timeout: 300_000 }, async () => {
  const { child, output, ended, says } = start()
  await says(/leads/)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  child.stdin.write('123')
  await says(/held +ams-\d: nobody is moved: .*at most 2/)
  for (const id of ['ams-1', 'ams-2', 'fra-1']) await says(new RegExp(`DOWN +${id}`))
  expect(output.out).not.toMatch(/moving/)
  child.stdin.write('3')
  // Cleared, if it listens again before its incident has been opened.
  await says(/(?:back|cleared) +fra-1/)
  await says(/moved +47 users/)
  await says(/moved +34 users/)
  child.stdin.end('q')
  expect(await ended, output.out + output.err).toBe(0)
})

test.concurrent('the live view ends with 0 on SIGINT and SIGTERM, and soon', { timeout: 300_000 }, async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const { child, output, ended, says } = startIn(watched)
    await says(/leads/)
    child.kill(signal)
    expect(await ended, output.out + output.err).toBe(0)
    expect(Number(/^lived on for (\d+) ms$/m.exec(output.out)?.[1])).toBeLessThan(5000)
    expect(output.err).toBe('')
  }
})

test.concurrent('an interrupted --once says so by its exit code', { timeout: 300_000 }, async () => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const { child, ended, says, goesOn, output } = startIn(standingStillAt(/KILL/), '--once')
    await says(/KILL/)
    child.kill(signal)
    goesOn()
    expect(await ended, output.out + output.err).toBe(code)
    expect(output.err).toBe('')
  }
})

test.concurrent('a reader that goes away ends it without a stack trace', { timeout: 300_000 }, async () => {
  const { child, output, ended, says, goesOn } = startIn(standingStillAt(/leads/), '--once')
  await says(/leads/)
  child.stdout.destroy()
  goesOn()
  expect(await ended).toBe(141)
  expect(output.err).toBe('')
})

test.concurrent('a wrong flag exits 2 with its remedy and starts nothing', { timeout: 300_000 }, async () => {
  const { output, ended } = start('--onec')
  expect(await ended).toBe(2)
  expect(output.out).toBe('')
  expect(output.err).toMatch(/unknown flag --onec.*--once/)
})

test.concurrent('--help exits 0', { timeout: 300_000 }, async () => {
  const { output, ended } = start('--help')
  expect(await ended).toBe(0)
  expect(output.out).toMatch(/npm start -- --once/)
})

test.concurrent('--durable goes on after kill -9 in the middle of an evacuation, and ends as if nothing had been', {
  timeout: 600_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pintail-quickstart-'))
  try {
    const env = { XDG_STATE_HOME: folder }
    const first = startIn({ ...env, ...standingStillAt(/moving/) }, '--once', '--durable')
    await first.says(/moving/)
    first.child.kill('SIGKILL')
    expect(await first.ended).toBe(null)
    const second = startIn(env, '--once', '--durable')
    expect(await second.ended, second.output.out + second.output.err).toBe(0)
    expect(second.output.out).toMatch(/goes on +ams-1 is dead since an earlier run/)
    expect(second.output.out).toMatch(/users moved +47 of 47 +nobody left/)
    expect(second.output.out).not.toContain('✗')
    // A whole story more over the same files.
    const third = startIn(env, '--once', '--durable')
    expect(await third.ended, third.output.out + third.output.err).toBe(0)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
