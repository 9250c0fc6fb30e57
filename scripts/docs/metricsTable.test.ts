import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { prometheusCatalogue } from '@pintail/adapters/prometheus'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { root } from '../lib/packages.ts'
import { metricsTable, withMetrics } from './metricsTable.ts'

const read = (...path: string[]): string => readFileSync(join(root, 'docs', ...path), 'utf8')

test('docs/metrics.md holds what the adapter registers (npm run docs:metrics writes it)', () => {
  const text = read('metrics.md')
  expect(text).toBe(withMetrics(text, metricsTable()))
})

const suffix = /_(bucket|sum|count)$/

test('what the documentation and the example rules ask for is there', () => {
  const named = [read('metrics.md'), read('prometheus', 'pintail.rules.yml')].flatMap((text) => text.match(/\bpintail_[a-z_]+/g) ?? [])
  const unknown = [...new Set(named)].filter((name) => !(name in prometheusCatalogue) && !(name.replace(suffix, '') in prometheusCatalogue))
  // A prefix in a sentence.
  expect(unknown.filter((name) => !name.endsWith('_'))).toEqual([])
})

test('each alert says what is wrong and what to do', () => {
  const { groups } = parse(read('prometheus', 'pintail.rules.yml')) as {
    groups: { rules: { alert?: string; labels?: { severity?: string }; annotations?: { summary?: string; remedy?: string } }[] }[]
  }
  const alerts = groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined)
  expect(alerts.length).toBeGreaterThan(8)
  for (const { alert, labels, annotations } of alerts) {
    expect(alert).toMatch(/^Pintail[A-Z]/)
    expect(['page', 'ticket']).toContain(labels?.severity)
    expect(annotations?.summary).toBeTruthy()
    expect(annotations?.remedy).toBeTruthy()
  }
})
