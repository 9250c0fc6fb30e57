import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { resumedEvacuation } from '../test/interrupted.ts'
import { hasPostgres, needsPostgres, startPostgres } from '../test/postgres.ts'
import { postgresMigrations, postgresStores } from './postgres/index.ts'
import { sqliteStores } from './sqlite/index.ts'
import { sqliteMigrations } from './sqlite/schema.ts'

const folder = join(import.meta.dirname, '..', 'test', 'fixtures')
const fixtures = (system: string): string[] => readdirSync(folder).filter((file) => file.startsWith(`${system}-`))
const sqlOf = (file: string): string => readFileSync(join(folder, file), 'utf8')

/** What each step was when it landed. A step that is new gets its line here, and a fixture by test/makeFixtures.ts. */
const landed: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  sqlite: {
    1: 'cb4d59f319a6b155ec2342689e7b211a28f81f636ff8a6cf65d4f6768de00e86',
    2: '65f86a534743f277cc886af65d519d539b8f41ad197d543d51c2121d4e7f041c',
    3: '2bc49c07b5eaeadfcd8d7a4d801309ce088c548162f36c18711768d51655795e',
  },
  postgres: {
    1: 'eacf6e82a4ea04eda65ca10d8c879cbca26efaaec71843ebab9ffcfa9c8d889c',
    2: '54bb751eb8690a8179e962ed01d71080478f5be4aa7b45f4264a0e7b0c8d39eb',
    3: '8c7deda7c1c8828ebca27f0a7e2fab913ac790f9006a522e46fcbbd607319384',
    4: 'd4e3daea3b278246b92c11b1c0cce76b187490cc7dbee33831bb9fbc8067548e',
  },
}

for (const [system, steps] of [
  ['sqlite', sqliteMigrations],
  ['postgres', postgresMigrations()],
] as const) {
  test(`a step of the ${system} schema that has landed is never edited`, () => {
    const now = steps.map(({ version, sql }) => [version, createHash('sha256').update(sql).digest('hex')])
    expect(Object.fromEntries(now)).toEqual(landed[system])
  })

  test(`each version of the ${system} schema has a database that was made by it`, () => {
    for (const { version } of steps) expect(fixtures(system)).toContain(`${system}-${version}.sql`)
  })
}

test.for(fixtures('sqlite'))('%s, with an evacuation in its middle, opens, migrates and goes on', async (file) => {
  const own = mkdtempSync(join(tmpdir(), 'pintail-upgrade-'))
  const path = join(own, 'state.db')
  const db = new DatabaseSync(path)
  db.exec(sqlOf(file))
  db.close()
  const stores = sqliteStores({ path })
  try {
    await resumedEvacuation(stores)
    const after = new DatabaseSync(path, { readOnly: true })
    const versions = after.prepare('SELECT version FROM schema_versions ORDER BY version').all()
    after.close()
    expect(versions.map(({ version }) => version)).toEqual(sqliteMigrations.map(({ version }) => version))
  } finally {
    await stores.close()
    rmSync(own, { recursive: true })
  }
})

describe.skipIf(!hasPostgres)(`postgres ${needsPostgres}`, () => {
  test.for(fixtures('postgres'))('%s, with an evacuation in its middle, opens, migrates and goes on', async (file) => {
    await using server = await startPostgres()
    const pool = server.pool()
    await pool.query(sqlOf(file))
    const stores = postgresStores({ pool })
    await stores.migrate()
    await resumedEvacuation(stores)
    const { rows } = await pool.query('SELECT version FROM pintail.schema_versions ORDER BY version')
    expect(rows.map(({ version }) => version)).toEqual(postgresMigrations().map(({ version }) => version))
  })
})
