#!/usr/bin/env node
// The `pintail` command. The rest is loaded when this Node is new enough to read it.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 12)) {
  process.stderr.write(`pintail needs Node 22.12 or later; this is ${process.versions.node}\n`)
  process.exitCode = 1
} else {
  import('./program.ts').then(
    async ({ run, processTerminal }) => {
      process.exitCode = await run(process.argv.slice(2), processTerminal())
    },
    (error: unknown) => {
      process.stderr.write(`pintail could not be loaded: ${error}\n`)
      process.exitCode = 1
    },
  )
}
