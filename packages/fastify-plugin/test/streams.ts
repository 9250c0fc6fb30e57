import { request } from 'node:http'
import type { WireMessage } from '@pintail/core/wire'

export interface Stream {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly messages: readonly WireMessage[]
  /** Of the last message that had one, as an EventSource keeps it. */
  readonly lastEventId: string | null
  readonly isOver: boolean
  /** Breaks the line. */
  cut(): void
  /** Takes nothing any more, while the line stays open; and takes again. */
  stall(): void
  resume(): void
}

/** Reads a text/event-stream as a browser would, over a line of its own. */
export function listen(address: string, path: string, headers: Record<string, string> = {}): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const asked = request(`${address}${path}`, { headers, agent: false }, (response) => {
      const messages: WireMessage[] = []
      const stream = {
        status: response.statusCode ?? 0,
        headers: response.headers,
        messages,
        lastEventId: headers['last-event-id'] ?? null,
        isOver: false,
        cut: () => void response.destroy(),
        stall: () => void response.pause(),
        resume: () => void response.resume(),
      }
      let text = ''
      const take = (block: string): void => {
        const id = /^id: (.*)$/m.exec(block)?.[1]
        const data = /^data: (.*)$/m.exec(block)?.[1]
        if (data !== undefined) messages.push(JSON.parse(data))
        if (id !== undefined) stream.lastEventId = id
      }
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        const blocks = (text + chunk).split('\n\n')
        text = blocks.pop() ?? ''
        for (const block of blocks) take(block)
      })
      const over = () => {
        stream.isOver = true
      }
      response.on('close', over).on('error', over)
      resolve(stream)
    })
    asked.on('error', reject)
    asked.end()
  })
}

/** Resolves when it holds. The bound is for what hangs, not for what is slow. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 60_000
  while (!holds()) {
    if (performance.now() > end) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
