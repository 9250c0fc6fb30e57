export { type FallbackMode, type FallbackOptions, withFallback } from './fallback.ts'
export { type LastKnownGoodOptions, lastKnownGood } from './last-known-good.ts'
export { type RetryOptions, withRetry } from './retry.ts'
