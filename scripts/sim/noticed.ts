import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const file = new URL('./noticed.json', import.meta.url)

/** Which world noticed which mutant last time: the first to be tried, because most worlds have nothing to do with it. */
export function read(): Map<string, number> {
  return new Map(existsSync(file) ? Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>) : [])
}

export function write(found: ReadonlyMap<string, number>): void {
  writeFileSync(file, `${JSON.stringify(Object.fromEntries([...found].sort()), null, 2)}\n`)
}
