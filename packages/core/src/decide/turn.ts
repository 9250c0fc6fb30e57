/** Which of the vantages that look at a server one is, from 0, and how many there are. */
export interface Turn {
  readonly index: number
  readonly vantages: number
}

/**
 * When a vantage's next steady check is due: they take turns, so that somebody looks each `intervalMs` and all of them
 * together send what one alone would. By their clocks only: nobody has to be asked.
 * @param phaseMs where the server's first turn lies, so that a fleet is not checked all at once
 */
export function nextTurn(now: number, intervalMs: number, { index, vantages }: Turn, phaseMs: number): number {
  const round = intervalMs * vantages
  const first = phaseMs + index * intervalMs
  return first + (Math.floor((now - first) / round) + 1) * round
}
