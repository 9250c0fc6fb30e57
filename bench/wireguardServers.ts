// A process of its own that answers handshakes: `node bench/wireguardServers.ts COUNT PUBLIC_KEY` opens so many servers
// on loopback, tells their ports and keys as one line of JSON, and ends with its standard input.
import { WireguardServer } from '../packages/adapters/test/wireguardServer.ts'

const [count = '1', publicKey = ''] = process.argv.slice(2)
const servers = await Promise.all(Array.from({ length: Number(count) }, () => new WireguardServer().listen()))
for (const server of servers) {
  server.register(publicKey)
  // A server that is busy with the others reads two of its own close together: here that is this process's doing.
  server.floodMs = 0
}
console.log(JSON.stringify(servers.map(({ port, keys }) => ({ port, publicKey: keys.publicKey }))))
process.stdin.resume().on('end', () => process.exit())
