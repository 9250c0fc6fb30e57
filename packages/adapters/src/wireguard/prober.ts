import { setTimeout as sleep } from 'node:timers/promises'
import { PintailError, type ProbeFailureKind, type ProbeResult, type Prober, type ProbeTarget } from '@pintail/core'
import { type Address, addressOf } from './address.ts'
import { type Peer, peerOf } from './handshake.ts'
import { type Answer, Line } from './line.ts'
import { parseKey, parseOptions, type Settings, uselessKey, type WireguardProberOptions } from './options.ts'
import { type Pace, paceOf } from './pace.ts'
import { Workbench } from './workbench.ts'

/** Packets of one check begin at most this far apart, milliseconds, as those of icmp() and tcp() do. */
const spacingMs = 200
const mostPeers = 10_000
const noPresharedKey = Buffer.alloc(32)

/**
 * Probes with WireGuard handshakes (Noise_IKpsk2, as in the WireGuard paper): what answers is the VPN itself, with the
 * server's private key. A packet is an initiation; it counts as received when the response to it decrypts. `rttMs` is the
 * time from the message to its answer. The packets of a check leave one after another, each when the one before it has
 * been answered, at the latest after 200 ms, and never less than 50 ms apart to one server key in this process: WireGuard
 * drops what comes within 20 ms of the last one.
 *
 * A server under load asks for a cookie first (type 3). The message is sent again with it at once, and the response
 * counts. A cookie that is followed by nothing counts too: it is a sign of life that only a running WireGuard with this
 * public key sends, though it does not prove that the probe's peer is registered.
 *
 * Nothing came back: a result with `failure` of layer `handshake`, `refused` (the port is closed), `unreachable`,
 * `wrong_answer` (something answers, and it is not this server's WireGuard) or `no_reply`. Silence is WireGuard's answer
 * to everybody whom it does not know: `detail` says what it can mean.
 * Throws `prober_unavailable` when this machine could not try (no route, a stalled event loop) or the preshared key is
 * not the server's, `invalid_argument` (no key or port for the target, a value out of range), `invalid_options` (a key
 * that is none), `unknown_host`, `invalid_host`, and `aborted` at once when the signal fires.
 *
 * Nothing is left behind: each check has a socket of its own, which is closed before the check settles.
 * @throws PintailError `invalid_options` naming every bad option; no key is in any error
 */
export function wireguardProber(options: WireguardProberOptions): Prober {
  const settings = parseOptions(options)
  const own = Buffer.from(settings.identity.publicKey).toString('base64')
  const pace = paceOf(own)
  const peers = new Peers(settings, own)
  const workbench = new Workbench()
  return {
    name: 'wireguard',
    async probe(target, { signal }) {
      // One for all that this check waits for, so that nothing of it stays on the caller's signal.
      const check = new AbortController()
      const gone = Promise.withResolvers<never>()
      const onAbort = () => {
        gone.reject(new PintailError('aborted', 'the probe was aborted', { cause: signal.reason }))
        check.abort()
      }
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort)
      try {
        return await Promise.race([gone.promise, run(target, { settings, peers, pace, workbench, signal: check.signal })])
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}

interface Tools {
  readonly settings: Settings
  readonly peers: Peers
  readonly pace: Pace
  readonly workbench: Workbench
  /** Aborted: the check is over for its caller, and what it still does must only end. */
  readonly signal: AbortSignal
}

async function run(target: ProbeTarget, tools: Tools): Promise<ProbeResult> {
  const { settings, peers, workbench, signal } = tools
  const address = await addressOf(target, settings.port)
  const peer = await peers.of(target)
  signal.throwIfAborted()
  const line = await Line.open(address, workbench)
  const close = () => line.close()
  if (signal.aborted) close()
  else signal.addEventListener('abort', close, { once: true })
  try {
    return summary(await sendAll(line, peer, target, tools), address)
  } finally {
    if (!signal.aborted) close()
    signal.removeEventListener('abort', close)
  }
}

async function sendAll(line: Line, peer: Peer, { packets, timeoutMs }: ProbeTarget, tools: Tools): Promise<Answer[]> {
  const { settings, pace, signal } = tools
  const { identity, clock } = settings
  const lane = pace.lane(Buffer.from(peer.publicBytes).toString('base64'))
  const timestamp = () => pace.timestamps.next(clock.now())
  const answers: Promise<Answer>[] = []
  while (answers.length < packets) {
    const left = await lane.turn(signal)
    if (left === null) throw tooMany()
    const answer = line.ask({ identity, peer, timestamp, timeoutMs, left })
    answers.push(answer)
    void answer.then((one) => 'rttMs' in one && lane.answered())
    if (answers.length < packets) await settledOr(answer, spacingMs)
  }
  return Promise.all(answers)
}

/** Resolves when the answer is there, at the latest after this time. Leaves no timer. */
async function settledOr(answer: Promise<unknown>, ms: number): Promise<void> {
  const enough = new AbortController()
  await Promise.race([answer, sleep(ms, undefined, { signal: enough.signal }).catch(() => {})])
  enough.abort()
}

/** What has been computed for servers, so that a handshake needs three curve operations and not four. */
class Peers {
  readonly #known = new Map<string, Peer>()
  readonly #settings: Settings
  readonly #own: string
  constructor(settings: Settings, own: string) {
    this.#settings = settings
    this.#own = own
  }

  async of(target: ProbeTarget): Promise<Peer> {
    const { serverId } = target
    const key = await this.#settings.publicKeyOf(target)
    if (key === null || key === undefined) {
      const remedy = 'Add its key to `publicKeys`, or have `publicKeyOf` return it (`wg show wg0 public-key` on the server).'
      throw new PintailError('invalid_argument', `wireguard: no public key is known for server ${serverId}`, { remedy })
    }
    const preshared = this.#settings.presharedKeyOf(target) ?? null
    const name = `${String(key)} ${String(preshared)}`
    const known = this.#known.get(name)
    if (known) return known
    const peer = this.#make(serverId, key, preshared)
    const oldest = this.#known.keys().next()
    if (this.#known.size >= mostPeers && !oldest.done) this.#known.delete(oldest.value)
    this.#known.set(name, peer)
    return peer
  }

  #make(serverId: string, key: string, preshared: string | null): Peer {
    const bytes = parseKey('public', serverId, key)
    if (key === this.#own) throw uselessKey(serverId, 'is the probe’s own: a server does not answer itself')
    const psk = preshared === null ? noPresharedKey : parseKey('preshared', serverId, preshared)
    const peer = peerOf(this.#settings.identity, bytes, psk)
    if (peer === null) throw uselessKey(serverId, 'is of low order: no server has such a key')
    return peer
  }
}

function tooMany(): PintailError {
  return new PintailError('prober_unavailable', 'too many handshakes wait for this server’s key already', {
    remedy: 'Servers that share one key are probed one after another: give each its own, or probe less often.',
  })
}

const meanings: Readonly<Partial<Record<ProbeFailureKind, string>>> = {
  no_reply: ': no WireGuard there or another key of it, the probe’s peer not registered, its clock set back, or UDP dropped on the way',
}

function summary(answers: readonly Answer[], { port }: Address): ProbeResult {
  const rttMs: number[] = []
  const failed = new Map<ProbeFailureKind, string>()
  for (const answer of answers) {
    if ('fault' in answer) throw answer.fault
    if ('rttMs' in answer) rttMs.push(answer.rttMs)
    else failed.set(answer.kind, answer.why)
  }
  const sent = answers.length
  const kind = (['refused', 'unreachable', 'wrong_answer', 'no_reply'] as const).find((one) => failed.has(one))
  if (rttMs.length > 0 || !kind) return { sent, received: rttMs.length, rttMs, failure: null }
  const detail = `UDP port ${port}: ${sent} sent, ${failed.get(kind)}${meanings[kind] ?? ''}`
  return { sent, received: 0, rttMs, failure: { kind, layer: 'handshake', detail } }
}
