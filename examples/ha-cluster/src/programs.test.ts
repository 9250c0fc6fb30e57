import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { findPrograms } from './programs.ts'

test('what is missing is named with the package that brings it', () => {
  const found = findPrograms({ folders: [tmpdir()], debian: '/nowhere' })
  const missing = 'missing' in found ? found.missing.join('; ') : ''
  expect(missing).toContain('apt-get install nats-server')
  expect(missing).toContain('apt-get install postgresql')
})
