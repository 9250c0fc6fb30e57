import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import base from '../../../vitest.config.ts'

// Each file has an engine, a server and a Chromium of its own, and waits most of the time: three at once.
export default defineConfig({
  root: join(import.meta.dirname, '..', '..', '..'),
  ...(base.ssr ? { ssr: base.ssr } : {}),
  test: {
    include: ['packages/dashboard/browser/**/*.browser.ts', 'examples/*/browser/**/*.browser.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    maxWorkers: 3,
    // Generous: they are for what hangs, never a measure of speed.
    testTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
})
