import type { Clock, Timer } from '../../ports.ts'
import type { FakeClock } from '../clock.ts'

/** Where a process dies: at the call of this port after `skip` others, before its effect or between effect and answer. */
interface Fuse {
  readonly when: 'before' | 'after'
  skip: number
  /** Only calls of this name count; null: all. */
  readonly of: string | null
}

/**
 * One operating-system process with an engine in it. Killed, it does nothing any more: no timer fires, no answer
 * arrives, no further call leaves it; what it had sent before still has its effect. Frozen, all of that waits.
 */
export class Process {
  readonly name: string
  readonly #world: FakeClock
  readonly #waiting: (() => void)[] = []
  readonly #timers = new Set<object>()
  #offsetMs = 0
  #frozen = false
  #fuse: Fuse | null = null
  dead = false
  /** Its clock has run on while it stood still: nothing that it was to do in time can be asked of it. */
  wasFrozen = false
  /** Called once when it dies at its fuse. */
  onDeath: () => void = () => {}

  constructor(name: string, world: FakeClock) {
    this.name = name
    this.#world = world
  }

  /** Timers that are neither fired nor cancelled. */
  get timers(): number {
    return this.#timers.size
  }

  get frozen(): boolean {
    return this.#frozen
  }

  readonly clock: Clock = {
    now: () => this.#world.now() + this.#offsetMs,
    setTimeout: (callback, delayMs): Timer => {
      const token = {}
      this.#timers.add(token)
      const timer = this.#world.setTimeout(
        () =>
          this.run(() => {
            if (this.#timers.delete(token)) callback()
          }),
        delayMs,
      )
      return {
        cancel: () => {
          this.#timers.delete(token)
          timer.cancel()
        },
      }
    },
    defer: (callback) => this.#world.defer?.(() => this.run(callback)),
  }

  /** What the operating system would do with something that is ready: now, when it thaws, or never. */
  run(callback: () => void): void {
    if (this.dead) return
    if (this.#frozen) this.#waiting.push(callback)
    else callback()
  }

  kill(): void {
    if (this.dead) return
    this.dead = true
    this.#waiting.length = 0
    this.onDeath()
  }

  dieAt(when: Fuse['when'], skip: number, of: string | null = null): void {
    this.#fuse = { when, skip, of }
  }

  freeze(): void {
    this.#frozen = true
    this.wasFrozen = true
  }

  thaw(): void {
    this.#frozen = false
    // One after the other, each with a turn of its own, as an event loop would.
    for (const callback of this.#waiting.splice(0)) this.#world.setTimeout(() => this.run(callback), 0)
  }

  jump(ms: number): void {
    this.#offsetMs += ms
  }

  #burns(when: Fuse['when'], name: string): boolean {
    const fuse = this.#fuse
    if (!fuse || fuse.when !== when || (fuse.of !== null && fuse.of !== name) || fuse.skip-- > 0) return false
    this.#fuse = null
    this.kill()
    return true
  }

  /** A call of a port: it may be the last thing that this process does. */
  call<T>(work: () => Promise<T>, name = ''): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.dead || this.#burns('before', name)) return
      const answer = (settle: () => void): void => {
        if (!this.dead && !this.#burns('after', name)) this.run(settle)
      }
      work().then(
        (value) => answer(() => resolve(value)),
        (error) => answer(() => reject(error)),
      )
    })
  }
}
