import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../lib/packages.ts'
import { settingsRows, tables, withSettings } from './serviceSettings.ts'

test("the service's README has the settings as they are now (npm run docs:service writes them)", () => {
  const text = readFileSync(join(root, 'packages', 'service', 'README.md'), 'utf8')
  expect(text).toBe(withSettings(text))
})

test.each(Object.entries(tables))('every setting of pintail %s has its row', (_command, definitions) => {
  const rows = settingsRows(definitions).split('\n').slice(2)
  expect(rows).toHaveLength(Object.keys(definitions).length)
  for (const { env } of Object.values(definitions))
    expect(
      rows.filter((row) => row.startsWith(`| \`${env}\` |`)),
      env,
    ).toHaveLength(1)
})

test('a text without the markers is refused', () => {
  expect(() => withSettings('# nothing')).toThrow('the markers are missing')
})
