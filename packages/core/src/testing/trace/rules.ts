import type { Invariant } from '../sim/kinds.ts'

/** What can be checked from a journal alone: each rule, the invariant of the design that it stands for, and what it says. */
export const traceRules = {
  'journal.order': ['I4', 'numbers rise by one: no entry is missing, and none comes out of turn'],
  'journal.twice': ['I4', 'nothing that was done is told twice'],
  'leader.token': ['I3', 'tokens never go back, and each move carries that of the leader'],
  'incident.verdict': ['I8', 'an incident is opened for a server that was judged down'],
  'incident.single': ['I4', 'a server has one incident at a time, and each ends once'],
  'decision.missing': ['I8', 'a decision comes before what it decides, with the same reason'],
  'decision.figures': ['I6', 'what was decided is what was begun, connection for connection'],
  'migration.transition': ['I4', 'each change of state is in the table of transitions, and begins where the last one ended'],
  'migration.figures': ['I4', 'what a record sums up is what its moves tell'],
  'evacuation.end': ['I4', 'an evacuation ends once, and after its last migration'],
  'move.intent': ['I4', 'an intent comes before each outcome, and while its migration transfers'],
  'move.settled': ['I4', 'each intent has at most one outcome, and nothing completes with one open'],
  'move.key': ['I4', 'the key of a move rises with a confirmed rollback, and only then'],
  'move.single': ['I4', 'a user is in at most one open move'],
  'move.ends': ['I1', 'a move goes from the source of its migration to its target, and to no home that the user has already'],
  'move.after_recovery': ['I9', 'after the recovery no move of that incident starts'],
  'move.against_word': ['I14', 'nothing starts that is paused or cancelled, or that goes to a cordoned server'],
  'target.damped': ['I10', 'a server that has failed too often is no target'],
  'home.once': ['I10', 'a user is brought home to one server at most once a day'],
  'revoke.early': ['I1', 'an old grant is taken back after the move only, and never at home'],
  'residue.listed': ['I7', 'a failed migration that lists residue does not claim that all was rolled back'],
} as const satisfies Readonly<Record<string, readonly [Invariant, string]>>

/** A rule of `traceRules`. */
export type TraceRule = keyof typeof traceRules

/** One broken rule, and the entry in which it shows. */
export interface Finding {
  readonly rule: TraceRule
  /** The invariant of the design that the rule stands for. */
  readonly invariant: Invariant
  /** The entry's place in the journal. */
  readonly seq: number
  /** The entry's time, milliseconds since 1970. */
  readonly at: number
  readonly message: string
}
