export { type FaultKind, faultKinds, type Invariant, type Phase, phases, type Step, type Violation } from './kinds.ts'
export { type History, historyOf, type Setup, type SimUser } from './setup.ts'
export { type Shrunk, shrink } from './shrink.ts'
export { type SimResult, simulate } from './simulate.ts'
