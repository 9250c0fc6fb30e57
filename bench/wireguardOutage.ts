// What a user of a VPN server notices of its death and of its drain: real WireGuard, an engine with default settings, a
// broker, and a worker beside each daemon. Needs root and the lab's packages.
import { startScene } from '../lab/wireguardScene.ts'
import { type Emit, median } from './harness.ts'

const outages = 7
const drains = 7
const pingEveryMs = 50

type Progress = (text: string) => void

/** From the kill of the daemon to the first answer through the new tunnel. */
export async function outage(emit: Emit, progress: Progress): Promise<void> {
  const seconds: number[] = []
  for (let run = 0; run < outages; run += 1) {
    // A world of its own each time: a server that has just failed is dampened.
    const scene = await startScene({ others: 30 })
    try {
      const pinging = await scene.client.ping(pingEveryMs)
      await pinging.answered(0)
      const at = Date.now()
      await scene.server('de1').wireguard.kill()
      const update = await scene.until('update', ({ connectionId }) => connectionId === 'u1')
      seconds.push(((await pinging.answered(update.at)) - at) / 1000)
      await pinging.stop()
      progress(`outage ${run + 1} of ${outages}: ${seconds.at(-1)} s`)
    } finally {
      await scene.end()
    }
  }
  emit({ case: 'outage', metric: 'client_outage_median', value: median(seconds), unit: 's', aim: 'value<=15' })
  emit({ case: 'outage', metric: 'client_outage_worst', value: Math.max(...seconds), unit: 's', aim: 'value<=15' })
}

/** Pings of the user that stay without an answer while his server is drained. */
export async function drain(emit: Emit, progress: Progress): Promise<void> {
  let [lost, sent] = [0, 0]
  for (let run = 0; run < drains; run += 1) {
    // Short enough to see the old peer go as well.
    const scene = await startScene({ others: 30, revokeGraceMs: 3000 })
    try {
      const pinging = await scene.client.ping(pingEveryMs)
      await pinging.answered(0)
      // Just after an answer: one that is on its way while the client changes its peers comes from a peer who is gone, whoever moves him.
      scene.following = (follow) => pinging.answered(Date.now()).then(follow)
      scene.tell('drain de1')
      const { at } = await scene.until('update', ({ connectionId }) => connectionId === 'u1')
      await scene.until('evacuation.completed')
      for (let count = 0, after = at; count < 100; count += 1) after = await pinging.answered(after)
      await pinging.stop()
      const last = Math.max(...pinging.answers.keys())
      sent += last
      lost += last - pinging.answers.size
      progress(`drain ${run + 1} of ${drains}: ${lost} of ${sent} pings lost`)
    } finally {
      await scene.end()
    }
  }
  emit({ case: 'drain', metric: 'pings_lost', value: lost, unit: '1', aim: 'value<=0' })
  emit({ case: 'drain', metric: 'pings_sent', value: sent, unit: '1' })
}
