import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** One line of the log. */
export interface Line {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

const cli = join(import.meta.dirname, '..', 'src', 'cli.ts')

/** A `pintail` in a process of its own, with its log. Killed with the test, if it has not ended. */
export class Service implements AsyncDisposable {
  readonly lines: Line[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  /** Its output has been read to the end, too. */
  #isOver = false
  #stderr = ''
  #rest = ''
  #output = ''

  /** @param env nothing of the environment of the test is handed on but the PATH, and where Node keeps what it has compiled */
  constructor(argv: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, ['--conditions=@pintail/source', cli, ...argv], {
      env: { PATH: process.env.PATH ?? '', NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#ended = once(this.#child, 'close').then(() => {
      this.#isOver = true
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => this.#take(chunk))
    this.#child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#stderr += chunk
    })
  }

  #take(chunk: string): void {
    this.#output += chunk
    const lines = `${this.#rest}${chunk}`.split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.lines.push(/^\{.*\}$/.test(line) ? JSON.parse(line) : { level: 'text', msg: line })
  }

  /** All that it has printed. */
  get output(): string {
    return this.#output
  }

  get stderr(): string {
    return this.#stderr
  }

  said(pattern: RegExp): Line[] {
    return this.lines.filter(({ msg }) => pattern.test(msg))
  }

  /** The first line that matches, now or later. */
  async says(pattern: RegExp, withinMs?: number): Promise<Line> {
    await eventually(() => this.said(pattern).length > 0 || this.#isOver, `a line like ${pattern}`, this, withinMs)
    const [line] = this.said(pattern)
    if (!line)
      throw new Error(`it ended with ${this.#child.signalCode ?? this.#child.exitCode} without a line like ${pattern}\n${this.tail()}`)
    return line
  }

  /** Where its health is, as its log says. */
  async address(): Promise<string> {
    return String((await this.says(/^health is at/)).address)
  }

  async health(): Promise<{
    readonly code: number
    readonly body: {
      readonly state: string
      readonly reasons: string[]
      readonly servers: Record<string, number>
      readonly figures?: Record<string, number>
    }
  }> {
    const response = await fetch(`${await this.address()}/health`)
    return { code: response.status, body: (await response.json()) as never }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** It stands still meanwhile: what happens here happens to it at one moment. */
  async during(work: () => Promise<void>): Promise<void> {
    this.kill('SIGSTOP')
    try {
      await work()
    } finally {
      this.kill('SIGCONT')
    }
  }

  /** The exit code, or the signal that ended it. */
  async exit(): Promise<number | string | null> {
    await this.#ended
    return this.#child.signalCode ?? this.#child.exitCode
  }

  tail(): string {
    const last = this.lines.slice(-30).map(({ level, msg }) => `${level} ${msg}`)
    return [...last, this.#stderr].join('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.#ended
  }
}

/** Waits until it holds; a time-out is for what hangs, not for what is slow, and says what was waited for. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: string,
  service?: Service,
  withinMs = 60_000,
): Promise<void> {
  const until = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`in vain: ${what}\n${service?.tail() ?? ''}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
