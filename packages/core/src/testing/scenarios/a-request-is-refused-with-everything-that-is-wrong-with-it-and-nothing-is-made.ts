import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'a request is refused with everything that is wrong with it and nothing is made',
  { servers: 2 },
  async (world) => {
    const request = { serverId: 's9', toServerId: '', connectionIds: [], reason: 'boredom', notes: 'x'.repeat(2001), autoApprove: 'yes' }
    const { code, message, remedy } = await world.refused(world.engine.migrations.create(request as never))
    assert.deepEqual([code, remedy], ['invalid_argument', 'Mend what is named, and ask again.'])
    for (const path of Object.keys(request)) assert.ok(message.includes(`${path} `), `${path} is not named in: ${message}`)
    assert.match(message, /serverId there is no server s9/)
    const itself = await world.refused(world.engine.migrations.create({ serverId: 's1', toServerId: 's1' }))
    assert.equal(itself.message, 'toServerId s1 is the server to be left itself')
    assert.deepEqual([world.migrations, world.evacuations, world.decisions], [[], [], []])
  },
)
