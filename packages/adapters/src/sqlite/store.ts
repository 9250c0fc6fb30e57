import type { CallContext, MigrationStore, StoreKind, StoreRecords, StoreWrite } from '@pintail/core'
import { type Ask, pageRows, type Row, type TextWrite } from './calls.ts'
import { parsed } from './database.ts'

export function storeOf(ask: Ask): MigrationStore & Required<Pick<MigrationStore, 'prune'>> {
  return {
    name: 'sqlite',
    commit: async ({ token, batch, writes, journal }, { signal }) => {
      const entries = journal.map(({ at, type, data }) => [at, type, JSON.stringify(data)] as const)
      return { lastSeq: await ask('commit', [{ token, batch, writes: writes.map(toText), journal: entries }], signal) }
    },
    get: async (kind, id, { signal }) => {
      const row = await ask('get', [kind, id], signal)
      return row && recordOf(kind, row)
    },
    list: (kind, { migrationId }, ctx) => list(ask, kind, migrationId ?? null, ctx),
    readJournal: async ({ after, limit }, { signal }) => {
      const { rows, ...ends } = await ask('readJournal', [after, limit], signal)
      const entries = rows.map(({ data, ...row }) => ({ ...row, data: parsed<object>(data, { what: `journal entry ${row.seq}` }) }))
      return { entries, ...ends }
    },
    prune: ({ movesBefore, journalBefore, limit }, { signal }) => ask('prune', [{ movesBefore, journalBefore, limit }], signal),
  }
}

function toText(write: StoreWrite): TextWrite {
  const { kind, id, expected, value } = write
  const migrationId = write.kind === 'move' && write.value ? write.value.migrationId : null
  return [kind, id, expected, value?.version ?? 0, value === null ? null : JSON.stringify(value), migrationId]
}

async function* list<K extends StoreKind>(
  ask: Ask,
  kind: K,
  migrationId: string | null,
  { signal }: CallContext,
): AsyncGenerator<readonly StoreRecords[K][]> {
  // What comes while the pages are read has a higher place, and what is changed keeps its own.
  for (let after = 0; ; ) {
    const rows = await ask('page', [kind, migrationId, after], signal)
    if (rows.length > 0) yield rows.map((row) => recordOf(kind, row))
    if (rows.length < pageRows) return
    after = rows.at(-1)?.ord ?? after
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const recordOf = <K extends StoreKind>(kind: K, { id, version, record }: Row): StoreRecords[K] =>
  parsed(record, { version, what: `${kind} ${id}` })
