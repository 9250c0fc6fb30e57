// A database in the middle of an evacuation, as SQL, by the newest schema of each store:
// `node --conditions=@pintail/source packages/adapters/test/makeFixtures.ts`. Run once for each new step of a schema, before
// it lands; what is there already is never made anew, because it is what earlier versions have left on people's disks.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { postgresMigrations, postgresStores } from '../src/postgres/index.ts'
import { sqliteStores } from '../src/sqlite/index.ts'
import { sqliteMigrations } from '../src/sqlite/schema.ts'
import { interruptedEvacuation } from './interrupted.ts'
import { bin, startPostgres } from './postgres.ts'

const folder = join(import.meta.dirname, 'fixtures')
const newest = (steps: readonly { readonly version: number }[]): number => Math.max(...steps.map(({ version }) => version))

async function sqlite(file: string): Promise<void> {
  const own = mkdtempSync(join(tmpdir(), 'pintail-fixture-'))
  const path = join(own, 'state.db')
  const stores = sqliteStores({ path })
  try {
    await interruptedEvacuation(stores, async () => writeFileSync(file, dump(path)))
  } finally {
    await stores.close()
    rmSync(own, { recursive: true })
  }
}

const quoted = (value: unknown): string =>
  value === null ? 'NULL' : typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value)

/** Everything that is in a file, columns that are made of others left out. */
function dump(path: string): string {
  const db = new DatabaseSync(path, { readOnly: true })
  const ask = (sql: string) => db.prepare(sql).all() as Record<string, never>[]
  const mark = ask('PRAGMA application_id')[0]?.application_id
  const objects = ask("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'index', rowid")
  const rows = objects.flatMap(({ type, name }) => {
    if (type !== 'table') return []
    const columns = ask(`PRAGMA table_xinfo(${name})`).flatMap((column) => (column.hidden === 0 ? String(column.name) : []))
    return ask(`SELECT ${columns.join(', ')} FROM ${name}`).map(
      (row) => `INSERT INTO ${name} (${columns.join(', ')}) VALUES (${columns.map((column) => quoted(row[column])).join(', ')});`,
    )
  })
  db.close()
  // The lease stands by a clock of the machine: on any other it is over.
  const over = 'UPDATE lease SET since = 0;'
  return `${[`PRAGMA application_id = ${mark};`, ...objects.map(({ sql }) => `${sql};`), ...rows, over].join('\n')}\n`
}

async function postgres(file: string): Promise<void> {
  const server = await startPostgres()
  try {
    const stores = postgresStores({ pool: server.pool() })
    await stores.migrate()
    await interruptedEvacuation(stores, async () => {
      const args = ['-h', '127.0.0.1', '-p', `${server.port}`, '-U', 'postgres', '--schema=pintail', '--inserts', '--no-owner', 'postgres']
      const { status, stdout, stderr } = spawnSync(join(bin ?? '', 'pg_dump'), args, { encoding: 'utf8' })
      if (status !== 0) throw new Error(`pg_dump: ${stderr}`)
      // Words of psql and remarks are no SQL, and settings are the session's own.
      // Not what stands in the body of a function.
      const preamble =
        /^(--|\\|SELECT pg_catalog\.set_config|SET \w+(_timeout|_encoding|_strings|_bodies|option|_messages|_security|_tablespace|_method) = )/
      const lines = stdout.split('\n').filter((line) => line !== '' && !preamble.test(line))
      writeFileSync(file, `${lines.join('\n')}\n`)
    })
  } finally {
    await server.stop()
  }
}

for (const [name, version, make] of [
  ['sqlite', newest(sqliteMigrations), sqlite],
  ['postgres', newest(postgresMigrations()), postgres],
] as const) {
  const file = join(folder, `${name}-${version}.sql`)
  if (existsSync(file)) console.log(`${name}-${version}.sql is there, and stays as it is`)
  else await make(file)
}
process.exit()
