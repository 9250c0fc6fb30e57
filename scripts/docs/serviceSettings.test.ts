import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { settingNames, settings } from '../../packages/service/src/settings/settings.ts'
import { root } from '../lib/packages.ts'
import { settingsRows, withSettings } from './serviceSettings.ts'

test("the service's README has the settings as they are now (npm run docs:service writes them)", () => {
  const text = readFileSync(join(root, 'packages', 'service', 'README.md'), 'utf8')
  expect(text).toBe(withSettings(text))
})

test('every setting has its row', () => {
  const rows = settingsRows().split('\n').slice(2)
  expect(rows).toHaveLength(settingNames.length)
  for (const name of settingNames)
    expect(
      rows.filter((row) => row.startsWith(`| \`${settings[name].env}\` |`)),
      name,
    ).toHaveLength(1)
})

test('a text without the markers is refused', () => {
  expect(() => withSettings('# nothing')).toThrow('the markers are missing')
})
