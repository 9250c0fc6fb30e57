import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPintail, memoryRegistry } from '@pintail/core'
import { expect, test } from 'vitest'
import { root } from '../lib/packages.ts'
import { experiments, table, withTable } from './moverMethods.ts'

const parts = new Set(experiments.map(({ part }) => /^`([a-zA-Z.]+)/.exec(part)?.[1]))

test('docs/mover-methods.md holds what is observed now (npm run docs:mover writes it)', async () => {
  const text = readFileSync(join(root, 'docs', 'mover-methods.md'), 'utf8')
  expect(text).toBe(withTable(text, await table()))
})

test.for([
  ['mover', 'ConnectionMover'],
  ['registry', 'ServerRegistry'],
])('every optional part of a %s has its row', ([port, type]) => {
  const ports = readFileSync(join(root, 'packages', 'core', 'src', 'ports.ts'), 'utf8')
  const body = new RegExp(`export interface ${type} \\{([\\s\\S]*?)\\n\\}`).exec(ports)?.[1] ?? ''
  const optional = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\?[(:]/gm)].map(([, name]) => `${port}.${name}`)
  expect(optional.length).toBeGreaterThan(2)
  expect(optional.filter((part) => !parts.has(part))).toEqual([])
})

test('whatever the engine names as missing at its start has its row', async () => {
  const missing: string[] = []
  const quiet = () => {}
  const pintail = createPintail({
    registry: { listServers: async () => [], listConnections: memoryRegistry({ servers: [] }).listConnections },
    mover: { move: async () => {} },
    logger: {
      debug: quiet,
      info: (data) => 'capability' in data && missing.push(String(data.capability)),
      warn: quiet,
      error: quiet,
    },
  })
  await pintail.start()
  await pintail.stop()
  expect(missing.length).toBeGreaterThan(2)
  expect(missing.filter((part) => !parts.has(part))).toEqual([])
})
