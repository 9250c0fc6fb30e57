/** What a full sync of one server has found and done. */
export interface SyncReport {
  readonly serverId: string
  readonly region: string | null
  /**
   * `applied`: it is as the books say now. `incomplete`: for some it could not be done. `held`: the worker would have had to
   * take so many off that it waits for a second list that says so. `unanswered`: it may be applied yet. `failed`: nothing was done.
   */
  readonly status: 'applied' | 'incomplete' | 'held' | 'unanswered' | 'failed'
  /** How many the books want there. */
  readonly wanted: number
  /** Wanted and not there; there and not as wanted; there and not wanted: the drift. */
  readonly missing: number
  readonly changed: number
  readonly extra: number
  /** Peers of somebody else, which were left. */
  readonly foreign: number
  /** Why not, in words; null: it is applied. */
  readonly error: string | null
}
