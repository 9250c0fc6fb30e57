import type { GuardDenial, Incident, ServerStatus, StatusWrite, VerdictKind } from '../vocabulary.ts'

/** What is to be done next about one server. Effects are data; the responder performs them. */
export type IncidentStep =
  | { readonly do: 'nothing' }
  | { readonly do: 'await_control'; readonly denial: GuardDenial }
  | { readonly do: 'open' }
  | { readonly do: 'hold'; readonly denials: readonly GuardDenial[] }
  | { readonly do: 'act' }
  | { readonly do: 'recover' }

/** Decides the next step for a server from its verdict, its open incident and the guards. */
export function nextStep(input: {
  readonly verdict: VerdictKind
  readonly status: ServerStatus
  readonly incident: Incident | null
  readonly control: GuardDenial | null
  readonly guards: readonly GuardDenial[]
}): IncidentStep {
  const { verdict, status, incident, control, guards } = input
  if (incident) {
    if (verdict === 'up') return { do: 'recover' }
    // Suspect or unknown after down is not recovery, and no new evidence either: what runs goes on.
    if (verdict !== 'down') return { do: 'nothing' }
    return guards.length > 0 ? { do: 'hold', denials: guards } : { do: 'act' }
  }
  if (verdict !== 'down') return { do: 'nothing' }
  // Somebody took it out of service on purpose; whoever did that looks after its users.
  if (status !== 'online') return { do: 'nothing' }
  return control ? { do: 'await_control', denial: control } : { do: 'open' }
}

/** What to do about a status that we once wrote, when the server is back. */
export type RestoreStep =
  | { readonly do: 'restore'; readonly status: ServerStatus }
  | { readonly do: 'advise'; readonly advice: string }
  | { readonly do: 'nothing' }

/**
 * Our own word is taken back only if it still stands; an operator's word is never changed.
 * @param current what the registry shows now
 */
export function restoreStep(write: StatusWrite | null, current: ServerStatus, adoptInactive: boolean): RestoreStep {
  if (current === 'online') {
    // A registry that never showed what we wrote tells no status at all: in the host's books it is still offline.
    if (write?.confirmed && write.seenAt === null) return { do: 'restore', status: write.previous }
    return { do: 'nothing' }
  }
  if (write && write.status === current && write.changedAt === null) return { do: 'restore', status: write.previous }
  if (adoptInactive && current === 'offline') return { do: 'restore', status: 'online' }
  return { do: 'advise', advice: `the server answers again; its status ${current} is not ours to change` }
}

/** A server that this many server lists in a row have not named is dropped; one list alone may be partial. */
export const droppedAfter = 2
/** And after this many it is gone for good: its incident is closed. */
export const goneAfter = 10

/** What to do about a server that answers and that somebody else has set offline. */
export type AdoptStep = 'nothing' | 'adopt' | 'advise' | 'forget'

export function adoptStep(input: {
  readonly status: ServerStatus
  readonly verdict: VerdictKind
  /** Cordoned, or offline because of an incident of ours. */
  readonly isHeld: boolean
  readonly adopts: boolean
  readonly advised: boolean
  /** How long it has been up and offline. */
  readonly forMs: number
  readonly stableMs: number
}): AdoptStep {
  const { status, verdict, isHeld, adopts, advised, forMs, stableMs } = input
  // In service again: the next time is another story.
  if (status === 'online') return advised ? 'forget' : 'nothing'
  if (status !== 'offline' || verdict !== 'up' || isHeld || forMs < stableMs) return 'nothing'
  return adopts ? 'adopt' : advised ? 'nothing' : 'advise'
}
