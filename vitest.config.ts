import { defineConfig } from 'vitest/config'

// Workspace packages are taken from their sources, so that tests need no build. The condition `module` is not among these:
// what packages keep there for bundlers, node cannot always import.
const conditions = ['@pintail/source', 'node', 'development|production']

export default defineConfig({
  ssr: { resolve: { conditions, externalConditions: ['@pintail/source', 'node'] } },
  test: {
    include: ['packages/**/*.test.ts', 'examples/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', 'lab/**'],
    passWithNoTests: true,
    // Many tests wait for processes, sockets and time-outs: on two cores three workers keep both busy.
    maxWorkers: 3,
    // Generous: a time-out is for what hangs, never a measure of speed. A busy machine stands still for seconds, at any line.
    testTimeout: 300_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 60_000 } },
    coverage: {
      provider: 'v8',
      include: ['packages/*/src/**/*.ts'],
      exclude: ['**/*.test.ts', '**/*.test-d.ts'],
    },
  },
})
