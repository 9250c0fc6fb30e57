import { spawn } from 'node:child_process'
import { type Clock, PintailError, type Timer } from '@pintail/core'
import { within } from '../http/waiting.ts'

export interface Command {
  readonly program: string
  readonly args: readonly string[]
  /** What it reads on standard input: a text, or a file that is open, which stays open. */
  readonly input: string | number
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string | undefined
  readonly timeoutMs: number
  readonly maxOutputBytes: number
}

export interface Ended {
  readonly code: number
  readonly stdout: string
  /** The beginning of it. */
  readonly stderr: string
}

/**
 * One process in a group of its own, so that a time-out ends whatever it has started as well. No shell.
 * @throws PintailError `unavailable` (it could not be started), `timeout`, `internal` (killed by a signal, too much output); the signal's reason
 */
export function run(command: Command, clock: Pick<Clock, 'setTimeout'>, signal: AbortSignal): Promise<Ended> {
  return within(clock, command.timeoutMs, signal, (both) => started(command, clock, both))
}

/** How long after its end a program's output is read that something which it has left running still holds open. */
const afterEndMs = 1000

function started(
  { program, args, input, env, cwd, maxOutputBytes }: Command,
  clock: Pick<Clock, 'setTimeout'>,
  signal: AbortSignal,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const child = spawn(program, args, {
      env,
      ...(cwd !== undefined && { cwd }),
      detached: true,
      stdio: [typeof input === 'number' ? input : 'pipe', 'pipe', 'pipe'],
    })
    const killGroup = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // Nobody is left in it.
      }
    }
    const letGo = (): void => {
      killGroup()
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
    }
    const output: Buffer[] = []
    let [bytes, stderr] = [0, '']
    let failure: Error | null = null
    let timer: Timer | null = null
    child.stdout?.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxOutputBytes) return void output.push(chunk)
      failure = new PintailError('internal', `${program} has printed more than ${maxOutputBytes} bytes, and was killed`)
      letGo()
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      if (stderr.length < 4000) stderr += chunk.toString('utf8')
    })
    // A program that does not read its input is no trouble of ours.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
    signal.addEventListener('abort', letGo, { once: true })
    child.on('error', (error: NodeJS.ErrnoException) => {
      const remedy = 'Install it, or name the right one; the search goes by the PATH of this process.'
      failure = new PintailError('unavailable', `${program} could not be started (${error.code})`, { cause: error, remedy })
    })
    child.on('exit', () => {
      killGroup()
      timer = clock.setTimeout(letGo, afterEndMs)
    })
    child.on('close', (code, by) => {
      timer?.cancel()
      signal.removeEventListener('abort', letGo)
      if (failure) reject(failure)
      else if (code === null) reject(new PintailError('internal', `${program} was ended by ${by}`))
      else resolve({ code, stdout: Buffer.concat(output).toString('utf8'), stderr })
    })
  })
}
