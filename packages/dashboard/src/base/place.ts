/** Where the focus is in a list of rows: the row's id, and which of its controls. */
export interface Place {
  readonly id: string
  readonly control: number
}

const controls = 'button, a'

/** Null: the focus is on no row. */
export function placeOf(root: ShadowRoot | null): Place | null {
  const focused = root?.activeElement
  const row = focused?.closest<HTMLElement>('[data-id]')
  if (!focused || !row) return null
  return { id: row.dataset.id ?? '', control: [...row.querySelectorAll(controls)].indexOf(focused) }
}

/** After the rows were drawn anew: nobody who works by keyboard finds himself on another row. @param otherwise takes it where the row is gone */
export function restore(root: ShadowRoot, place: Place | null, otherwise: string): void {
  if (place === null || placeOf(root)?.id === place.id) return
  const row = root.querySelector(`[data-id="${CSS.escape(place.id)}"]`)
  const control = row?.querySelectorAll<HTMLElement>(controls)[place.control] ?? row?.querySelector<HTMLElement>(controls)
  ;(control ?? root.querySelector<HTMLElement>(otherwise))?.focus()
}
