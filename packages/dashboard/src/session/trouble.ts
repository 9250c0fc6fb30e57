import { ApiError } from '@pintail/client'

/** Problem details, as text for people. */
export interface Trouble {
  /** Stable, as `plan_stale`; of what the client found itself `network`, `timeout` … */
  readonly code: string
  /** HTTP status; 0: there was no answer. */
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly remedy: string | null
  readonly differences: readonly string[]
}

/** Any error as text for people; an error that is no answer of the API has no status. */
export function troubleOf(error: unknown): Trouble {
  // Another copy of the client on the page has another class.
  const api = error instanceof ApiError || (error instanceof Error && error.name === 'ApiError') ? (error as ApiError) : null
  if (!api)
    return {
      code: 'internal',
      status: 0,
      title: '',
      detail: error instanceof Error ? error.message : String(error),
      remedy: null,
      differences: [],
    }
  const { code, status, title, detail, remedy = null, differences = [] } = api
  return { code, status, title, detail, remedy, differences }
}
