import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a server that answers and that others have set offline is advised about once',
  { policy: { mode: 'auto', failback: { stableMs: 60_000 } } },
  async (world) => {
    world.status('s2', 'offline')
    await world.minutes(30)
    world.redeploy()
    await world.minutes(30)
    assert.deepEqual(
      world.told('warning').map(({ message, remedy }) => [message, remedy]),
      [
        [
          's2 answers and is offline in the registry, not by our word: nobody is sent there',
          'Set it online, or turn failback.adoptInactive on.',
        ],
      ],
    )
    assert.deepEqual([world.server('s2').status, world.told('server.status_set')], ['offline', []])
  },
)
