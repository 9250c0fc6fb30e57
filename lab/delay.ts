// Packets that come later. The kernel may lack netem, so they are sent through a TUN device: a program reads them,
// waits, and writes them back, and the kernel then takes them as if they had just come.
//
// `node lab/delay.ts FD MS` is that program. TUN takes an ioctl, which Node cannot do: perl, which every Debian has
// (perl-base is essential, and no module of it is needed), opens the device and becomes Node, which inherits it.
import { read, write } from 'node:fs'

const [fd = -1, ms = -1] = process.argv.slice(2).map(Number)
const most = 10_000
let waiting = 0

function next(): void {
  const packet = Buffer.allocUnsafe(2048)
  read(fd, packet, 0, packet.length, null, (error, length) => {
    // The device is gone, and with it its namespace.
    if (error) return
    if (waiting < most) {
      waiting += 1
      setTimeout(() => {
        write(fd, packet, 0, length, () => {
          waiting -= 1
        })
      }, ms)
    }
    next()
  })
}

console.log('ready')
next()
