/** For contracts over disks, brokers and panels: a slow machine breaks no rule, and our time-outs are for what hangs. */
export const patient = { timeoutMs: 50_000, promptMs: 5000 } as const
