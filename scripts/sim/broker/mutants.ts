/** Broken on purpose, so that it is known that the judge would see it. */
export type BrokerMutant = 'worker-takes-stale' | 'sync-without-leave' | 'attempts-are-wanted'
export const brokerMutants: readonly { readonly name: BrokerMutant; readonly breaks: string }[] = [
  { name: 'worker-takes-stale', breaks: 'a worker has no rule against what is older than what it has seen' },
  { name: 'sync-without-leave', breaks: 'a full sync does not say whose calls are under way' },
  { name: 'attempts-are-wanted', breaks: 'a full sync wants also what was granted for moves that came to nothing' },
]
