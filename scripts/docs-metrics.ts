// npm run docs:metrics: writes the table of docs/metrics.md from what the Prometheus adapter registers.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metricsTable, withMetrics } from './docs/metricsTable.ts'
import { root } from './lib/packages.ts'

const path = join(root, 'docs', 'metrics.md')
writeFileSync(path, withMetrics(readFileSync(path, 'utf8'), metricsTable()))
