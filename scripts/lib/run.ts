import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root } from './packages.ts'

export type Outcome = { code: number; output: string; timedOut: boolean }

type RunOptions = {
  cwd?: string
  env?: Record<string, string | undefined>
  /** `show`: straight to the terminal. `keep` (default): collected in `output`. */
  output?: 'show' | 'keep'
  /** Milliseconds; a command that takes longer is ended. Without it, it may take for ever. */
  timeoutMs?: number
}

/** Runs a command to its end. A command that cannot be started has the exit code 127. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: { ...process.env, ...options.env },
      stdio: options.output === 'show' ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    })
    const chunks: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
    let timedOut = false
    const timer = options.timeoutMs
      ? setTimeout(() => {
          timedOut = true
          child.kill('SIGKILL')
        }, options.timeoutMs)
      : undefined
    const finish = (code: number, extra = ''): void => {
      clearTimeout(timer)
      resolve({ code, output: Buffer.concat(chunks).toString('utf8') + extra, timedOut })
    }
    child.on('error', (error) => finish(127, `${command}: ${error.message}\n`))
    child.on('close', (code, signal) => finish(code ?? 1, signal ? `${command} was ended by ${signal}\n` : ''))
  })
}

/** A tool of this repository's own node_modules, run by the Node that runs us: not by an older one of the system. */
export function runTool(tool: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return run(join(root, 'node_modules', '.bin', tool), args, { ...options, env: { PATH: toolPath(), ...options.env } })
}

/** The folder of our Node first, so that `#!/usr/bin/env node` finds it. */
export function toolPath(): string {
  return [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(':')
}
