import { createInterface } from 'node:readline'
import type { Reason } from '@pintail/core'
import type { Ending, Look, Setting } from './engine.ts'
import type { Place, World } from './world.ts'

export interface Line {
  readonly type: string
  /** When it was read, milliseconds since 1970. */
  readonly at: number
  // biome-ignore lint/suspicious/noExplicitAny: the payloads of all events, as they come over a pipe
  readonly data: any
}

export type Running = ReturnType<typeof runEngine>

/** Starts an engine and reads its lines; `until` waits for one, `stop` for its ending. */
export function runEngine(world: World, setting: Setting, place: Place = 'prober') {
  const child = world.node(place, 'lab/engine.ts', JSON.stringify(setting))
  const lines: (Line | Ending | Look)[] = []
  const waiting: (() => void)[] = []
  const wake = () => {
    for (const one of waiting.splice(0)) one()
  }
  const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  reader.on('line', (line) => {
    lines.push({ ...JSON.parse(line), at: Date.now() })
    wake()
  })
  child.on('exit', wake)
  const waitFor = async <T>(find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      if (child.exitCode !== null) throw new Error(`the engine ended with ${child.exitCode}: ${JSON.stringify(lines.slice(-5))}`)
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }
  const told = (type: string): Line[] => lines.filter((line): line is Line => 'type' in line && line.type === type)
  const look = async (): Promise<Look['servers']> => {
    const before = lines.length
    child.stdin?.write('look\n')
    return (await waitFor(() => lines.slice(before).find((line): line is Look & Line => 'servers' in line))).servers
  }
  return {
    told,
    until: (type: string, matches: (data: Line['data']) => boolean = () => true) =>
      waitFor(() => told(type).find(({ data }) => matches(data))),
    allUp: () =>
      waitFor(() => {
        const up = new Set(told('server.verdict_changed').flatMap(({ data }) => (data.verdict === 'up' ? [data.serverId] : [])))
        return up.size === setting.hosts.length ? true : undefined
      }),
    /** What it thinks of its servers now, in the order of the hosts. */
    look,
    /** Waits until a reason why it takes this server for down, the first is 0, is as it should be: one check may have been held up, and not each. */
    downFor: async (server: number, isIt: (reason: Reason) => boolean): Promise<Reason> => {
      for (const end = performance.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
        const { verdict, reasons } = (await look())[server] ?? { verdict: 'gone', reasons: [] }
        const found = verdict === 'down' ? reasons.find(isIt) : undefined
        if (found) return found
        if (performance.now() > end) throw new Error(`in vain: server ${server} is ${verdict} for ${JSON.stringify(reasons)}`)
      }
    },
    /** A sample of a vantage elsewhere, as a line of JSON. */
    observe: (sample: string): void => void child.stdin?.write(`${sample}\n`),
    stop: async (): Promise<Ending> => {
      child.stdin?.write('stop\n')
      return waitFor(() => lines.find((line): line is Ending & Line => 'ended' in line))
    },
  }
}
