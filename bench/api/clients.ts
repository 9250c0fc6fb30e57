// The clients of the benchmark `api`, in a process of their own: so many event streams of one server over loopback. Some may
// stop reading for a while. Told by its parent over IPC what to do, and tells what it has seen.
import { type ClientRequest, get } from 'node:http'

/** From the parent. `until`: tell when everybody who reads has this entry. */
export type Order =
  | { readonly open: string; readonly count: number; readonly silent: number }
  | { readonly until: number }
  | { readonly read: 'on' }
/** To the parent. `seen`: entries that all streams together have had. `closed`: streams that were ended, by the reason that was told. */
export type Told =
  | { readonly opened: number }
  | { readonly reached: number; readonly seen: number; readonly bytes: number }
  | { readonly closed: Readonly<Record<string, number>> }

interface Stream {
  readonly isSilent: boolean
  first: number
  last: number
  tail: string
  isOver: boolean
}

const streams: Stream[] = []
const requests: ClientRequest[] = []
const closed: Record<string, number> = {}
let bytes = 0
let resume: (() => void)[] = []
const tell = (told: Told): void => void process.send?.(told)

function open(url: string, isSilent: boolean): Promise<void> {
  const stream: Stream = { isSilent, first: 0, last: 0, tail: '', isOver: false }
  streams.push(stream)
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`the stream was refused with ${response.statusCode}`))
      const take = (chunk: Buffer): void => {
        bytes += chunk.length
        // Numbers rise by one and are never missing, which other tests show: the last one says how many there were.
        const text = stream.tail + chunk.toString('latin1')
        const at = text.lastIndexOf('id: ', text.length - 24)
        stream.tail = text.slice(-300)
        const seq = at < 0 ? 0 : Number.parseInt(text.slice(at + 4, at + 20), 10)
        if (seq > stream.last) stream.last = seq
        if (stream.first === 0 && stream.last > 0) {
          stream.first = stream.last
          resolve()
          if (isSilent) {
            response.pause()
            resume.push(() => response.resume())
          }
        }
      }
      response.on('data', take)
      const over = (): void => {
        if (stream.isOver) return
        stream.isOver = true
        const reason = /"type":"stream\.closed".*?"reason":"(\w+)"/.exec(stream.tail)?.[1] ?? 'cut off'
        closed[reason] = (closed[reason] ?? 0) + 1
      }
      response.on('close', over)
      response.on('error', over)
    })
    request.on('error', reject)
    requests.push(request)
  })
}

async function openAll({ open: url, count, silent }: Extract<Order, { open: string }>): Promise<void> {
  // Not all at once: the queue of a listening socket is short.
  for (let at = 0; at < count; at += 50)
    await Promise.all(Array.from({ length: Math.min(50, count - at) }, (_, index) => open(url, at + index < silent)))
  tell({ opened: streams.length })
}

async function reach(seq: number): Promise<void> {
  const reading = streams.filter(({ isSilent }) => !isSilent)
  while (reading.some(({ last, isOver }) => last < seq && !isOver)) await new Promise((resolve) => setTimeout(resolve, 5))
  tell({ reached: seq, seen: reading.reduce((sum, { first, last }) => sum + last - first, 0), bytes })
}

async function readOn(): Promise<void> {
  for (const one of resume) one()
  resume = []
  while (streams.some(({ isSilent, isOver }) => isSilent && !isOver)) await new Promise((resolve) => setTimeout(resolve, 20))
  tell({ closed })
}

process.on('message', (order: Order) => {
  const done = 'open' in order ? openAll(order) : 'until' in order ? reach(order.until) : readOn()
  done.catch((error) => {
    console.error(error)
    process.exit(1)
  })
})
process.on('disconnect', () => process.exit())
