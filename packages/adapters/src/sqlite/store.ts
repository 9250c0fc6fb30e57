import type { CallContext, MigrationStore, StoreKind, StoreRecords, StoreWrite } from '@pintail/core'
import { type Ask, pageRows, type TextWrite } from './calls.ts'
import { parsed, type Row } from './database.ts'

export function storeOf(ask: Ask): MigrationStore & Required<Pick<MigrationStore, 'prune' | 'post' | 'posts' | 'find' | 'sumMigrations'>> {
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
    post: async ({ from, number, body }, { signal }) => ask('post', [from, number, JSON.stringify(body)], signal),
    posts: async (after, { signal }) => {
      const rows = await ask('posts', [JSON.stringify(after)], signal)
      return rows.map(({ body, ...row }) => ({ ...row, body: parsed<object>(body, { what: `post ${row.number} of ${row.from}` }) }))
    },
    find: async (kind, query, { signal }) => {
      const { rows, total } = await ask('find', [kind, query], signal)
      return { records: rows.map((row) => recordOf(kind, row)), total }
    },
    sumMigrations: async ({ signal }) => {
      const { groups, failures } = await ask('sumMigrations', [], signal)
      return { groups, failures: failures.map(({ error, count }) => ({ error: JSON.parse(error) as string | null, count })) }
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
