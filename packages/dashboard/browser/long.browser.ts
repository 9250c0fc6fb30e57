import { expect, test } from 'vitest'
import { connections, servers } from './fleets.ts'
import { stage } from './stage.ts'

const minute = 60_000
/** How much faster than the wall's the world's clock runs. `PINTAIL_SPEED=1` takes half an hour. */
const speed = Number(process.env.PINTAIL_SPEED ?? 40)

test('half an hour of outages leaves the heap and the page as large as the first minutes did', {
  timeout: 900_000 + (31 * minute) / speed,
}, async () => {
  const world = await stage({ servers, connections, speed, policy: { guards: { dampingCeiling: 100 } } })
  try {
    const { page, context, complaints } = await world.open()
    await page.locator('pintail-map [data-node="ams-1"]').waitFor()
    const devtools = await context.newCDPSession(page)
    /** Bytes of the heap and number of nodes, after what can be collected is. */
    const size = async (): Promise<{ heap: number; nodes: number }> => {
      await devtools.send('HeapProfiler.collectGarbage')
      const [{ usedSize }, { nodes }] = [await devtools.send('Runtime.getHeapUsage'), await devtools.send('Memory.getDOMCounters')]
      return { heap: usedSize, nodes }
    }
    /** A second in which an operator cannot make up his mind. */
    const busy = async (): Promise<void> => {
      for (let times = 0; times < 10; times++) {
        await world.fleet.pintail.cordon('nyc-2')
        await world.fleet.pintail.uncordon('nyc-2')
        await page.waitForTimeout(90)
      }
    }
    /** One server after the other dies and comes back, so many of them at least, however much of the time a slow machine takes for one. */
    const until = async (end: number, least: number): Promise<void> => {
      for (let n = 0; world.fleet.clock.now() < end || n < least; n++) {
        const id = servers[n % servers.length]?.id ?? ''
        world.fleet.kill(id)
        await busy()
        world.fleet.revive(id)
        await busy()
      }
    }
    const begun = world.fleet.clock.now()
    await until(begun + 8 * minute, 6)
    const early = await size()
    const told = world.fleet.events.length
    await until(begun + 30 * minute, 12)
    const late = await size()
    const events = world.fleet.events.length - told
    const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
    console.log(`${events} events later: ${mb(early.heap)} → ${mb(late.heap)} MB, ${early.nodes} → ${late.nodes} nodes`)
    expect(events).toBeGreaterThan(500)
    // Records of a hundred ended migrations are kept, and not all of them were there early.
    expect(late.heap).toBeLessThan(early.heap * 1.5)
    expect(late.nodes).toBeLessThan(early.nodes * 1.5)
    expect(complaints).toEqual({ errors: [], csp: [], foreign: [] })
  } finally {
    await world.close()
  }
})
