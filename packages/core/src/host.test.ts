import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

/** Runs a script as a host would, in a process of its own, and says how it ended. */
async function host(script: string): Promise<{ code: number | null; output: string }> {
  const root = fileURLToPath(new URL('../../..', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@pintail/source', '--input-type=module', '--eval', script], { cwd: root })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, output }
}

/** What keeps the process alive, but for its own pipes. */
const holding = `process.getActiveResourcesInfo().filter((kind) => !/PipeWrap|TTYWrap|FSReq|CloseReq/.test(kind))`

const outage = `
  import { createPintail, memoryRegistry, memoryMover } from '@pintail/core'
  const servers = [1, 2, 3, 4].map((n) => ({ id: n, host: '10.0.0.' + n, capacity: 50 }))
  const registry = memoryRegistry({ servers, connections: { 1: Array.from({ length: 20 }, (_, n) => ({ id: 'c' + n })) } })
  let dead = false
  const probe = async ({ serverId, packets }) => {
    const received = dead && serverId === '1' ? 0 : packets
    return { sent: packets, received, rttMs: Array(received).fill(1) }
  }
  const policy = { mode: 'auto', guards: { recheckMs: 50 }, detect: { checkIntervalMs: 50, confirm: { intervalMs: 20, durationMs: 100 } } }
  const pintail = createPintail({ registry, mover: memoryMover(registry), probers: [{ name: 'static', probe }], policy })
`

test('a host with a throwing and a rejecting listener on every event survives an outage, and ends by itself after stop()', async () => {
  const { code, output } = await host(`${outage}
    process.on('unhandledRejection', (error) => { console.log('UNHANDLED', error); process.exitCode = 7 })
    process.on('uncaughtException', (error) => { console.log('UNCAUGHT', error); process.exitCode = 8 })
    const types = new Set()
    pintail.on('*', ({ type }) => types.add(type))
    for (const type of ['*', 'warning', 'server.verdict_changed', 'incident.opened', 'decision.made', 'evacuation.created', 'migration.created',
      'migration.status_changed', 'migration.progress', 'move.started', 'connection.moved', 'migration.completed', 'evacuation.completed', 'leader.acquired']) {
      pintail.on(type, () => { throw new Error('thrown by a listener') })
      pintail.on(type, async () => { throw new Error('rejected by a listener') })
    }
    const done = new Promise((resolve) => pintail.on('evacuation.completed', resolve))
    await pintail.start()
    setTimeout(() => { dead = true }, 300)
    await done
    await pintail.stop()
    console.log(JSON.stringify({ left: registry.on(1).length, types: types.size, holding: ${holding} }))
  `)
  expect(output).not.toMatch(/UNHANDLED|UNCAUGHT/)
  expect(JSON.parse(output.trim().split('\n').at(-1) ?? '')).toEqual({ left: 0, types: expect.any(Number), holding: [] })
  expect(code).toBe(0)
})

test('importing and creating start nothing: the process ends at once', async () => {
  const { code, output } = await host(`${outage}
    console.log(JSON.stringify(${holding}))
  `)
  expect(JSON.parse(output)).toEqual([])
  expect(code).toBe(0)
})
