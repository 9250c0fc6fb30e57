export { type JournalLine, parseJournalLine } from './entries.ts'
export { judgeJournal } from './judge.ts'
export { type Finding, type TraceRule, traceRules } from './rules.ts'
