// One process of the cluster: started, killed, started again, and what it says.
import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'

export interface Line {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface PieceOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly user?: { readonly uid?: number; readonly gid?: number }
  /** All that it prints goes there. */
  readonly logFile: string
}

export class Piece {
  readonly #options: PieceOptions
  #child: ChildProcess | null = null
  #ended: Promise<void> = Promise.resolve()
  readonly #lines: Line[] = []
  #waiting: (() => void)[] = []
  #listener: ((line: Line) => void) | null = null

  constructor(options: PieceOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  get isAlive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  start(): void {
    if (this.isAlive) return
    const { command, args, env = {}, user = {}, logFile } = this.#options
    const log = createWriteStream(logFile, { flags: 'a' })
    const child = spawn(command, args, {
      ...user,
      env: { PATH: process.env.PATH ?? '', NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A Ctrl-C in the terminal is for this program alone: it ends the others in their order.
      detached: true,
    })
    this.#child = child
    let rest = ''
    const take = (chunk: string): void => {
      log.write(chunk)
      const lines = `${rest}${chunk}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#take(line)
    }
    child.stdout?.setEncoding('utf8').on('data', take)
    child.stderr?.setEncoding('utf8').on('data', take)
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve())
      child.once('close', () => {
        log.end()
        this.#wake()
        resolve()
      })
    })
  }

  #take(text: string): void {
    const line: Line = /^\{.*\}$/.test(text) ? JSON.parse(text) : { level: 'text', msg: text }
    this.#lines.push(line)
    if (this.#lines.length > 2000) this.#lines.shift()
    this.#listener?.(line)
    this.#wake()
  }

  #wake(): void {
    for (const one of this.#waiting.splice(0)) one()
  }

  /** The newest line that matches, now or later. Rejects if the process ends before. */
  async says(pattern: RegExp): Promise<Line> {
    for (;;) {
      const found = this.#lines.findLast(({ msg }) => pattern.test(msg))
      if (found) return found
      if (!this.isAlive)
        throw new Error(
          `${this.name} has ended: ${this.#lines
            .slice(-5)
            .map(({ msg }) => msg)
            .join(' | ')}`,
        )
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Told of each line of its log from now on. */
  listen(listener: (line: Line) => void): void {
    this.#listener = listener
  }

  /** What it has said before is not looked at any more. */
  forget(): void {
    this.#lines.length = 0
  }

  /** Ends it and waits for its end; after a bound it is killed. */
  async end(signal: NodeJS.Signals = 'SIGTERM', withinMs = 15_000): Promise<void> {
    if (!this.isAlive) return
    this.#child?.kill(signal)
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), withinMs)
    await this.#ended
    clearTimeout(timer)
  }

  /** At once, without a wait: for the end of this program itself. */
  killNow(): void {
    if (this.isAlive) this.#child?.kill('SIGKILL')
  }
}
