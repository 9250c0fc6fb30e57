/** The states in which a record is open, and those in which it is not any more. */
const states = {
  migration: {
    open: ['suggested', 'approved', 'scheduled', 'preparing', 'transferring', 'completing'],
    over: ['completed', 'failed', 'cancelled'],
  },
  evacuation: { open: ['suggested', 'running'], over: ['completed', 'cancelled'] },
  incident: { open: ['open', 'recovered'], over: ['closed'] },
} as const

/** The states that both filters allow; undefined: neither narrows anything. */
export function statesOf(
  kind: keyof typeof states,
  { status, open }: { readonly status?: readonly string[]; readonly open?: boolean },
): readonly string[] | undefined {
  if (open === undefined) return status
  const wanted: readonly string[] = states[kind][open ? 'open' : 'over']
  return status ? status.filter((one) => wanted.includes(one)) : wanted
}
