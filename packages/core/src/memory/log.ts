import type { LogEntry, LogSink } from '../ports.ts'

export interface MemoryLog extends LogSink {
  /** Each entry once, oldest first; at most the newest `limit`. */
  entries(): readonly LogEntry[]
}

/** The audit trail in memory: the newest `limit` entries (default 10 000), repeated ones kept once. */
export function memoryLog({ limit = 10_000 }: { readonly limit?: number } = {}): MemoryLog {
  const entries = new Map<string, LogEntry>()
  return {
    async write(entry) {
      entries.set(entry.id, entry)
      for (const id of entries.keys()) {
        if (entries.size <= limit) break
        entries.delete(id)
      }
    },
    entries: () => [...entries.values()],
  }
}
