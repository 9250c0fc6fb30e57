import { hashOf, newKey } from './accounts/keys.ts'
import type { Role } from './accounts/roles.ts'
import type { Terminal } from './io.ts'

interface NewKey {
  readonly name: string
  readonly role: Role
  /** ISO 8601; none: it does not expire. */
  readonly expires?: string
  readonly json: boolean
}

/** Makes a key. It is shown once, and kept nowhere: settings have its hash alone. */
export function printKey({ name, role, expires, json }: NewKey, terminal: Terminal): void {
  const key = newKey()
  const entry = [name, role, hashOf(key), ...(expires === undefined ? [] : [expires])].join(':')
  if (json) {
    terminal.out(`${JSON.stringify({ key, entry })}\n`)
    return
  }
  terminal.out(
    `The key, for the program that asks (it is shown this once):\n\n  ${key}\n\nIts account, for the service (several are separated by commas):\n\n  PINTAIL_API_KEYS=${entry}\n`,
  )
}
