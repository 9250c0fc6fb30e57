export type { Terminal } from './io.ts'
export { run } from './program.ts'
