import assert from 'node:assert/strict'
import { scenario } from '../sim/scenario.ts'

export const it = scenario(
  'nobody is sent where his protocol is not spoken',
  {
    servers: [{ id: 's1' }, { id: 's2', protocols: ['openvpn'] }, { id: 's3', protocols: ['openvpn', 'wireguard'] }, { id: 's4' }],
    users: 1,
    rows: { 's1-1': { needs: { protocols: ['wireguard'] } } },
  },
  async (world) => {
    world.kill('s1')
    await world.minutes(1)
    assert.equal(world.home('s1-1'), 's3')
    assert.equal(world.decisions[0]?.cohorts[0]?.exclusions.protocol_missing, 2)
  },
)
