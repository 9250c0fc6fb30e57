import { cohortKey } from './assign/cohorts.ts'
import type { ConnectionInput } from './ports.ts'
import { parseConnection } from './rows.ts'
import type { CohortDecision, Connection } from './vocabulary.ts'

/**
 * What a plan or a decision says of one user: the candidates with their contributions, the exclusions, and how many of his
 * like go where. A decision names no users, so he is found by what he needs: hand him in as the registry gave him.
 * Null: none like him was in it, or he had been refused somewhere before.
 */
export function cohortOf(made: { readonly cohorts: readonly CohortDecision[] }, user: Connection | ConnectionInput): CohortDecision | null {
  const parsed = parseConnection(user)
  const key = parsed.ok ? cohortKey(parsed.value, new Set()) : null
  return made.cohorts.find(({ cohort }) => cohort === key) ?? null
}
