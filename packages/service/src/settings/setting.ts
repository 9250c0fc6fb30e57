import type { Kind } from './kinds.ts'

/** One thing that can be set: by a variable, by a flag, or in a file. */
export interface Setting<T> {
  /** The environment variable. Seed 000's nine have its names; all others begin with PINTAIL_. */
  readonly env: string
  readonly kind: Kind<T>
  readonly fallback: T
  /** One sentence for `--help` and the table in the README. */
  readonly doc: string
}

/** All settings of one command, by their names in a file. */
// biome-ignore lint/suspicious/noExplicitAny: each has values of its own kind, and each kind shows and reads its own alone
export type Definitions = Readonly<Record<string, Setting<any>>>

export type ValuesOf<D extends Definitions> = { readonly [K in keyof D]: D[K] extends Setting<infer T> ? T : never }

export const setting = <T>(env: string, kind: Kind<T>, fallback: T, doc: string): Setting<T> => ({ env, kind, fallback, doc })

/** `checkInterval` is the flag `--check-interval`. */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
