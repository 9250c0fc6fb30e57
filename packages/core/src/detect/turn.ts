/**
 * When a vantage's next steady check is due: they take turns, so that somebody looks each `intervalMs` and all of them
 * together send what one alone would. By their clocks only: nobody has to be asked.
 * @param turn which of the vantages that look at a server it is, from 0, and how many there are
 * @param phaseMs where the server's first turn lies, so that a fleet is not checked all at once
 */
export function nextTurn(now: number, intervalMs: number, turn: { index: number; vantages: number }, phaseMs: number): number {
  const roundMs = intervalMs * turn.vantages
  const firstMs = phaseMs + turn.index * intervalMs
  return firstMs + (Math.floor((now - firstMs) / roundMs) + 1) * roundMs
}
