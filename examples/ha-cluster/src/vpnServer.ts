// A VPN server, as far as a prober sees it: a TCP port. `node vpnServer.ts HOST PORT`; it lives until it is killed.
import { createServer } from 'node:net'

const [host = '127.0.0.1', port = '0'] = process.argv.slice(2)
createServer((socket) => {
  socket.on('error', () => {})
  socket.end()
}).listen(Number(port), host, () => process.stdout.write(`listens on ${host}:${port}\n`))
