import { expect, test } from 'vitest'
import { createPintail, memoryMover, memoryRegistry } from '../index.ts'

test('stop() ends in whichever step of its beginning it meets the engine', async () => {
  const late = 'stop() hangs'
  for (let steps = 0; steps < 100; steps++) {
    const registry = memoryRegistry({ servers: [{ id: 'a', host: '127.0.0.1' }] })
    const prober = { name: 'fake', probe: async () => ({ sent: 1, received: 1, rttMs: [1] }) }
    const pintail = createPintail({ registry, mover: memoryMover(registry), probers: [prober] })
    await pintail.start()
    for (let step = 0; step < steps; step++) await Promise.resolve()
    let timer: NodeJS.Timeout | undefined
    const bound = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, 60_000, `${late} after ${steps} steps`)
    })
    expect(await Promise.race([pintail.stop(), bound])).toBeUndefined()
    clearTimeout(timer)
    expect(pintail.status().state).toBe('stopped')
  }
})
