// npm run stand-in: a VPN Duck to try `pintail serve` against. Arguments: v1 (default) or v2, and a port.
import { createInterface } from 'node:readline'
import { Town } from './town.ts'

const { stdin, stdout, stderr, argv } = process
const [dialect = 'v1', port = '5002'] = argv.slice(2)
const say = (text: string): void => void stdout.write(`${text}\n`)

if ((dialect !== 'v1' && dialect !== 'v2') || !/^\d{1,5}$/.test(port)) {
  stderr.write('Usage: npm run stand-in -- [v1|v2] [port]\n')
  process.exit(2)
}

const time = (): string => new Date().toTimeString().slice(0, 8)
const town = new Town({ dialect, port: Number(port), servers: 6, users: 200, tell: (text) => say(`${time()}  ${text}`) })
try {
  const url = await town.open()
  say(`VPN Duck's database service, a stand-in (${dialect}): ${url}\n`)
  for (const line of town.lines()) say(line)
  say('\nA number and Enter kills that server, or brings it back; Enter alone shows all; q ends.')
} catch (error) {
  const { code, address } = error as NodeJS.ErrnoException & { address?: string }
  const what =
    code === 'EADDRINUSE'
      ? 'Is it running already? Another port: npm run stand-in -- v1 5003'
      : 'It needs the loopback addresses 127.0.0.11 to 127.0.0.16.'
  stderr.write(`The stand-in could not open ${address ?? 'its ports'} (${code}). ${what}\n`)
  await town.close()
  process.exit(1)
}

for await (const line of createInterface({ input: stdin })) {
  const word = line.trim()
  if (word === 'q') break
  if (town.serverIds.includes(Number(word))) await town.toggle(Number(word))
  else for (const one of town.lines()) say(one)
}
await town.close()
