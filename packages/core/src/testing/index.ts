export { type FakeClock, fakeClock } from './clock.ts'
export {
  type ContractRule,
  connectionMoverContract,
  type KitOptions,
  type LogExtra,
  type LogHarness,
  logSinkContract,
  type MoverExtra,
  type MoverHarness,
  type ProbedServer,
  type ProberExtra,
  type ProberHarness,
  proberContract,
  type RegistryExtra,
  type RegistryHarness,
  serverRegistryContract,
  type Troubles,
} from './contracts/index.ts'
export { createFleet, type Fleet, type FleetOptions, type Health } from './fleet.ts'
export { seededRandom } from './random.ts'
export {
  type Act,
  type ActScope,
  type FaultKind,
  faultKinds,
  type History,
  historyOf,
  type Invariant,
  type NthOn,
  type Phase,
  phases,
  type Script,
  type Setup,
  type Shrunk,
  type SimResult,
  type SimUser,
  type Step,
  shrink,
  simulate,
  type Violation,
} from './sim/index.ts'
export { type Finding, type JournalLine, judgeJournal, parseJournalLine, type TraceRule, traceRules } from './trace/index.ts'
