import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import base from '../vitest.config.ts'

// The lab's files share network namespaces, firewall rules and the global ARP table: they run one after another.
export default defineConfig({
  root: join(import.meta.dirname, '..'),
  ...(base.ssr ? { ssr: base.ssr } : {}),
  test: {
    include: ['lab/**/*.lab.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    passWithNoTests: true,
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
})
