import { PintailError } from '@pintail/core'
import type { WireGuardPeer } from './device.ts'
import { keyOfHex } from './keys.ts'

interface Reading {
  publicKey: string
  allowedIps: string[]
  endpoint: string | null
  seconds: number
  nanoseconds: number
  rxBytes: number
  txBytes: number
}

/**
 * The peers in an answer of the UAPI. Its other lines, the private key among them, are read past and kept nowhere.
 * @throws PintailError `internal` for an `errno` other than 0, and for what is no such answer
 */
export function readPeers(answer: string): WireGuardPeer[] {
  const peers: Reading[] = []
  let errno: string | null = null
  for (const line of answer.trimEnd().split('\n')) {
    const at = line.indexOf('=')
    if (at < 1) throw garbled()
    const [key, value] = [line.slice(0, at), line.slice(at + 1)]
    if (key === 'errno') errno = value
    else if (key === 'public_key') peers.push(begun(value))
    else {
      const peer = peers.at(-1)
      if (peer) take(peer, key, value)
    }
  }
  if (errno === null) throw garbled()
  if (errno !== '0') throw refused(errno)
  return peers.map(({ seconds, nanoseconds, ...peer }) => ({
    ...peer,
    latestHandshakeAt: seconds > 0 ? seconds * 1000 + Math.floor(nanoseconds / 1e6) : null,
  }))
}

function begun(hex: string): Reading {
  if (!/^[0-9a-f]{64}$/i.test(hex)) throw garbled()
  return { publicKey: keyOfHex(hex), allowedIps: [], endpoint: null, seconds: 0, nanoseconds: 0, rxBytes: 0, txBytes: 0 }
}

function take(peer: Reading, key: string, value: string): void {
  if (key === 'allowed_ip') peer.allowedIps.push(value)
  else if (key === 'endpoint') peer.endpoint = value
  else if (key === 'last_handshake_time_sec') peer.seconds = whole(value)
  else if (key === 'last_handshake_time_nsec') peer.nanoseconds = whole(value)
  else if (key === 'rx_bytes') peer.rxBytes = whole(value)
  else if (key === 'tx_bytes') peer.txBytes = whole(value)
}

function whole(text: string): number {
  if (/^\d{1,19}$/.test(text)) return Number(text)
  throw garbled()
}

const garbled = (): PintailError =>
  new PintailError('internal', 'what answered on the control socket does not speak the WireGuard UAPI', {
    remedy: 'Check the path: another program listens there.',
  })

/** The daemon has read the question and refuses; what stood before the refused line may be in force. */
function refused(errno: string): PintailError {
  const number = /^-?\d{1,6}$/.test(errno) ? Math.abs(Number(errno)) : null
  const what = { 1: 'no permission', 22: 'a value that it does not take', 98: 'its port is taken' }[number ?? 0] ?? 'see errno(3)'
  return new PintailError('internal', `the WireGuard daemon has refused (errno ${number ?? 'unknown'}: ${what})`, {
    remedy: 'Look into the log of the daemon; an IPv6 address needs IPv6 on the server.',
  })
}
