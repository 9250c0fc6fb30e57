import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import base from '../vitest.config.ts'

// Each file has worlds of its own, which do not see each other, and waits most of the time: four run at once.
export default defineConfig({
  root: join(import.meta.dirname, '..'),
  ...(base.ssr ? { ssr: base.ssr } : {}),
  test: {
    include: ['lab/**/*.lab.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    passWithNoTests: true,
    maxWorkers: 4,
    // Tests that say so wait for leases side by side.
    maxConcurrency: 40,
    // Generous: they are for what hangs, never a measure of speed.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    teardownTimeout: 30_000,
  },
})
