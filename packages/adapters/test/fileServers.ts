import { appendFileSync, readFileSync } from 'node:fs'
import type { Access, RegionHandler } from '../src/regions/handler.ts'

/** Servers whose state is the lines of a file, so that several processes work at the same ones. */
export interface FileServers extends RegionHandler {
  /** Every effect, in its order: `grant de-1/c1 1.1`. */
  effects(): readonly string[]
  /** Who has access: `de-1/c1`. */
  granted(): readonly string[]
}

export function fileServers(path: string): FileServers {
  const write = (what: string, { serverId, connectionId, token, epoch }: Access): void =>
    appendFileSync(path, `${what} ${serverId}/${connectionId} ${token}.${epoch}\n`)
  const effects = (): string[] => readFileSync(path, { encoding: 'utf8', flag: 'a+' }).split('\n').filter(Boolean)
  const granted = (): string[] => {
    const there = new Set<string>()
    for (const line of effects()) {
      const [what, key = ''] = line.split(' ')
      if (what === 'grant') there.add(key)
      else there.delete(key)
    }
    return [...there]
  }
  return {
    effects,
    granted,
    grant: async (access) => write('grant', access),
    revoke: async (access) => write('revoke', access),
    list: async (serverId) =>
      granted()
        .filter((key) => key.startsWith(`${serverId}/`))
        .map((key) => ({ connectionId: key.slice(serverId.length + 1), payload: null })),
  }
}
