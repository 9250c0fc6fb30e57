import assert from 'node:assert/strict'
import type { CallContext } from '../../ports.ts'

/** One rule of a contract. Hand `name` and `run` to any test runner: `test(rule.name, rule.run)`. */
export interface ContractRule {
  /** What must hold, as a sentence. Ends in `(not checked: no …)` where the harness was declared to be without something. */
  readonly name: string
  /** What this harness was declared to be without, so that the rule is not checked; null: it is checked. */
  readonly notChecked: string | null
  /** Makes a fresh world, tries the rule, clears up. Rejects with an AssertionError that says what was seen. */
  readonly run: () => Promise<void>
}

export interface KitOptions<Extra extends string> {
  /**
   * What the adapter or the harness does not have. Nothing is left out in silence: without this word a rule that lacks
   * something fails and says so; with it the rule's name says `not checked`, and it fails if the thing is there after all.
   */
  readonly without?: readonly Extra[]
  /** How soon a call must settle after its signal fired, milliseconds, 1–60 000. Default 1 000. */
  readonly promptMs?: number
  /** For one rule, milliseconds, 1–600 000. Default 4 500: below the limit of the common test runners, so that ours speaks first. */
  readonly timeoutMs?: number
}

/** What every harness may offer: troubles of the panel behind the adapter, and an end. */
export interface Troubles {
  /** From now on nothing reaches the panel: its connections are refused, and nothing happens there. Needs `comeBack`. */
  goDown?(): unknown
  /** From now on the panel takes calls, carries them out, and never answers. Needs `comeBack`. */
  fallSilent?(): unknown
  /** All is well again. */
  comeBack?(): unknown
  /** Closes what `create` opened. */
  dispose?(): unknown
}

/** What a rule works with, beside its harness. */
export interface Bench {
  /** For calls that are not to be aborted; fires when the rule's own time is over. */
  readonly ctx: CallContext
  readonly promptMs: number
  /** What the whole rule has, milliseconds: what it waits for may take the larger part of it. */
  readonly timeoutMs: number
}

export interface RuleDraft<Harness, Extra extends string> {
  readonly name: string
  readonly needs?: readonly Extra[]
  readonly run: (harness: Harness, bench: Bench) => Promise<void>
}

export interface Kit<Harness, Extra extends string> {
  readonly rules: readonly RuleDraft<Harness, Extra>[]
  /** Whether the harness has it; null: only trying the rule can tell. */
  readonly has: (harness: Harness, extra: Extra) => boolean | null
}

export function toRules<Harness extends Troubles, Extra extends string>(
  { rules, has }: Kit<Harness, Extra>,
  create: () => Harness | PromiseLike<Harness>,
  { without = [], promptMs = 1000, timeoutMs = 4500 }: KitOptions<Extra>,
): ContractRule[] {
  /** Makes a world, uses it within the time, and clears up in any case. */
  const inWorld = async (use: (harness: Harness, bench: Bench) => Promise<void>): Promise<void> => {
    const harness = await create()
    const end = new AbortController()
    try {
      await within(timeoutMs, 'the rule', use(harness, { ctx: { signal: end.signal }, promptMs, timeoutMs }))
    } finally {
      end.abort()
      await harness.dispose?.()
    }
  }
  return rules.map(({ name, needs = [], run }): ContractRule => {
    const missing = needs.filter((extra) => without.includes(extra))
    if (missing.length === 0)
      return {
        name,
        notChecked: null,
        run: () =>
          inWorld(async (harness, bench) => {
            const absent = needs.filter((extra) => has(harness, extra) === false)
            assert.ok(absent.length === 0, `there is no ${absent.join(', ')}: add it, or declare it with { without: [${quoted(absent)}] }`)
            await run(harness, bench)
          }),
      }
    const notChecked = `no ${missing.join(', ')}`
    return {
      name: `${name} (not checked: ${notChecked})`,
      notChecked,
      run: () =>
        inWorld(async (harness, bench) => {
          const present = missing.filter((extra) => has(harness, extra) === true)
          assert.ok(present.length === 0, `there is ${present.join(', ')} after all: take ${quoted(present)} out of \`without\``)
          const untold = missing.filter((extra) => has(harness, extra) === null)
          if (untold.length < missing.length) return
          const held = await attempt(() => run(harness, bench))
          assert.ok(!held.ok, `the rule holds after all: take ${quoted(untold)} out of \`without\``)
        }),
    }
  })
}

const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(', ')

// ------------------------------------------------------------------------------------------------------- what rules use

export type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }

/** How a call ended; a synchronous throw counts as a rejection, as it does for the engine. */
export async function attempt<T>(call: () => PromiseLike<T> | T): Promise<Attempt<T>> {
  try {
    return { ok: true, value: await call() }
  } catch (error) {
    return { ok: false, error }
  }
}

/**
 * Rejects unless the promise settles in time. The time is counted in steps, so that a machine that has stood still for seconds has
 * used up one of them: whatever was ready meanwhile has its turn before anybody is called late.
 */
export async function within<T>(ms: number, what: string, promise: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const step = (left: number): void => {
      if (left === 0) reject(new assert.AssertionError({ message: `${what} did not settle within ${ms} ms` }))
      else timer = setTimeout(step, ms / 20, left - 1)
    }
    step(20)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** So much time, in which this process has had its turns: also where it stood still, what was begun before has been sent. */
export async function passing(ms: number): Promise<void> {
  const steps = ms < 10 ? 1 : 10
  for (let step = 0; step < steps; step++) await new Promise((resolve) => setTimeout(resolve, ms / steps))
}

/**
 * Starts a call, fires its signal, and says how the call ended. `beforehand`: the signal has fired before the call;
 * otherwise it fires `afterMs` later.
 */
export async function abortCall<T>(
  what: string,
  call: (ctx: CallContext) => PromiseLike<T> | T,
  { promptMs, afterMs }: { readonly promptMs: number; readonly afterMs: number | 'beforehand' },
): Promise<Attempt<T>> {
  const controller = new AbortController()
  if (afterMs === 'beforehand') controller.abort()
  const under = attempt(() => call({ signal: controller.signal }))
  if (afterMs !== 'beforehand') {
    await passing(afterMs)
    controller.abort()
  }
  return within(promptMs, `${what}, its signal having fired,`, under)
}

/** Frozen to the bottom: what is handed to an adapter is not the adapter's to change. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const item of Object.values(value)) frozen(item)
  return value
}

/** What was thrown, for the message of a failed rule. */
export function shown(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = (error as { code?: unknown }).code
  return `${error.name}${code === undefined ? '' : ` '${String(code)}'`}: ${error.message}`
}
