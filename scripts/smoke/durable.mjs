// The quickstart over the packed packages: killed with -9 in the middle of an evacuation, started again, it goes on and ends
// as if nothing had been. The packed SQLite store has to find its thread for that.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

cpSync(join(process.env.PINTAIL_ROOT, 'examples', 'quickstart', 'src'), 'quickstart', { recursive: true })
const state = mkdtempSync(join(process.cwd(), 'state-'))

function start() {
  const child = spawn(process.execPath, [join('quickstart', 'main.ts'), '--once', '--durable'], {
    env: { PATH: process.env.PATH, XDG_STATE_HOME: state },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const run = { child, out: '', ended: once(child, 'close') }
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    run.out += chunk
    if (/moving/.test(run.out)) run.moves?.()
  })
  return run
}

try {
  const first = start()
  await Promise.race([
    new Promise((resolve) => {
      first.moves = resolve
    }),
    first.ended,
  ])
  first.child.kill('SIGKILL')
  assert.deepEqual(await first.ended, [null, 'SIGKILL'], first.out)
  const second = start()
  assert.deepEqual(await second.ended, [0, null], second.out)
  assert.match(second.out, /goes on +ams-1 is dead since an earlier run/)
  assert.match(second.out, /users moved +47 of 47 +nobody left/)
} finally {
  rmSync(state, { recursive: true })
}
