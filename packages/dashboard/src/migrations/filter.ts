import type { WireEvacuation, WireMigration } from '@pintail/core/wire'

/** What a person wants to see; an empty string: anything. */
export interface Filter {
  readonly state: WireMigration['status'] | ''
  /** Source or target. */
  readonly server: string
  readonly reason: WireMigration['reason'] | ''
  readonly text: string
}

export const anything: Filter = { state: '', server: '', reason: '', text: '' }

export const isAnything = ({ state, server, reason, text }: Filter): boolean =>
  state === '' && server === '' && reason === '' && text.trim() === ''

const has = (wanted: string, ...texts: readonly (string | null)[]): boolean =>
  wanted === '' || texts.some((text) => text?.toLowerCase().includes(wanted))

const wantedText = ({ text }: Filter): string => text.trim().toLowerCase()

export function matches(one: WireMigration, filter: Filter): boolean {
  const { state, server, reason } = filter
  return (
    (state === '' || one.status === state) &&
    (reason === '' || one.reason === reason) &&
    (server === '' || one.from_server_id === server || one.to_server_id === server) &&
    has(
      wantedText(filter),
      one.from_server_name,
      one.to_server_name,
      one.notes,
      one.error_message,
      one.id,
      one.evacuation_id,
      ...one.warnings,
    )
  )
}

/** An evacuation of which no migration is known is still a row: somebody waits there for room. */
export function matchesEvacuation(one: WireEvacuation, filter: Filter): boolean {
  const { state, server, reason } = filter
  return (
    (state === '' || (state === 'suggested' && one.status === 'suggested')) &&
    (reason === '' || one.reason === reason) &&
    (server === '' || one.from_server_ids.includes(server)) &&
    has(wantedText(filter), ...one.from_server_ids, one.notes, one.id)
  )
}
