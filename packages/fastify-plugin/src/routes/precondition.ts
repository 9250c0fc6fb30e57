import { createHash } from 'node:crypto'
import type { Evacuation, Migration } from '@pintail/core'
import { RequestProblem } from './problem.ts'

/*
 * An entity tag has two parts: what people decide about, and the bytes of the answer. If-Match compares the first alone:
 * whoever cancels a migration has to know that it was approved meanwhile, and not that one more user has moved.
 */

/** `decision` may have any characters but quotes and dots. */
export function etagOf(decision: string, body: string): string {
  return `"${decision}.${createHash('sha256').update(body).digest('base64url').slice(0, 16)}"`
}

/** What people decide about, of a migration: its phase, when it may start, and whether it is being cancelled. */
export function tagOfMigration({ status, notBefore, cancelledWhy }: Migration): string {
  const isEnded = status === 'completed' || status === 'failed' || status === 'cancelled'
  if (isEnded || status === 'suggested') return status
  if (cancelledWhy !== null) return 'cancelling'
  return status === 'approved' || status === 'scheduled' ? `scheduled@${notBefore ?? 'now'}` : 'running'
}

export const tagOfEvacuation = ({ status, cancelledWhy, endedAt }: Evacuation): string =>
  cancelledWhy !== null && endedAt === null ? 'cancelling' : status

/**
 * @param header the If-Match of the request; `*` matches whatever there is
 * @throws RequestProblem `precondition_required` if it is missing and must not be, `precondition_failed`
 */
export function checkMatch(header: string | undefined, current: string, needed: boolean): void {
  if (header === undefined) {
    if (!needed) return
    throw new RequestProblem('precondition_required', {
      detail: 'This request must say what it was decided upon, so that two people do not overwrite each other.',
      remedy: 'Send If-Match with the ETag of what you have read, or If-Match: * for whatever there is now.',
    })
  }
  if (header.trim() === '*') return
  // A proxy that compresses makes a strong tag weak; what we compare is the same.
  const given = header.split(',').map((tag) => /^(?:W\/)?"([^".]*)(?:\.[^"]*)?"$/.exec(tag.trim())?.[1])
  if (given.includes(current)) return
  throw new RequestProblem('precondition_failed', {
    detail: 'It is not any more what this request was decided upon.',
    remedy: 'Read it again, and decide again.',
  })
}

/** The policy's version in an If-Match; null: whatever there is. */
export function versionOf(header: string | undefined, newest: number): number {
  checkMatch(header, String(newest), true)
  return newest
}

/** One after the other for each key: what one has checked must still hold when he acts. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const mine = before.then(work, work)
    const settled = mine.then(
      () => {},
      () => {},
    )
    this.#last.set(key, settled)
    try {
      return await mine
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key)
    }
  }
}
