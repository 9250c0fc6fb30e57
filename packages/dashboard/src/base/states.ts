import type { WireMigration, WireServer } from '@pintail/core/wire'
import { type SVGTemplateResult, svg } from 'lit'

/** What a server is to an operator, in one word: colour, shape and word always go together. */
export type ServerState = 'up' | 'suspect' | 'down' | 'unknown' | 'cordoned' | 'maintenance' | 'offline'

export function serverState({ verdict, status, cordoned }: WireServer): ServerState {
  if (status === 'maintenance') return 'maintenance'
  // A failure is told before anything that a person has set.
  if (verdict.verdict === 'down') return 'down'
  if (verdict.verdict === 'suspect') return 'suspect'
  if (status === 'offline') return 'offline'
  if (cordoned) return 'cordoned'
  return verdict.verdict
}

/** The worst first. */
export const stateOrder: readonly ServerState[] = ['down', 'suspect', 'unknown', 'offline', 'maintenance', 'cordoned', 'up']

/** Names of the theme's colours. */
export type Tone = 'good' | 'busy' | 'waiting' | 'idle' | 'bad'

export const toneOfState: Readonly<Record<ServerState, Tone>> = {
  up: 'good',
  suspect: 'waiting',
  down: 'bad',
  unknown: 'idle',
  cordoned: 'busy',
  maintenance: 'busy',
  offline: 'idle',
}

/** Seed 004: green completed, blue in progress, yellow scheduled or approved, grey suggested, red failed. */
export const toneOfStatus: Readonly<Record<WireMigration['status'], Tone>> = {
  suggested: 'idle',
  approved: 'waiting',
  scheduled: 'waiting',
  preparing: 'busy',
  transferring: 'busy',
  completing: 'busy',
  completed: 'good',
  failed: 'bad',
  cancelled: 'idle',
}

/** A shape for each state within a circle of radius 1, so that colour is never the only sign. */
const shapes: Readonly<Record<ServerState, string>> = {
  // A tick.
  up: 'M-0.5 0.05 L-0.15 0.42 L0.55 -0.38',
  // An exclamation mark.
  suspect: 'M0 -0.55 L0 0.15 M0 0.5 L0 0.52',
  // A cross.
  down: 'M-0.45 -0.45 L0.45 0.45 M0.45 -0.45 L-0.45 0.45',
  // A question mark.
  unknown: 'M-0.3 -0.25 A0.32 0.32 0 1 1 0.1 0.05 Q0 0.1 0 0.22 M0 0.53 L0 0.55',
  // A bar.
  cordoned: 'M-0.5 0 L0.5 0',
  // Two bars.
  maintenance: 'M-0.2 -0.45 L-0.2 0.45 M0.2 -0.45 L0.2 0.45',
  // A ring that is open above.
  offline: 'M-0.3 -0.35 A0.48 0.48 0 1 0 0.3 -0.35 M0 -0.6 L0 0',
}

/** The sign of a state, to be drawn in an SVG at its origin. */
export function stateSign(state: ServerState, radius: number): SVGTemplateResult {
  return svg`<g class="sign" part="sign" data-shape=${state} transform="scale(${radius})">
    <circle r="1" class="disc tone-${toneOfState[state]}"></circle>
    <path d=${shapes[state]} class="mark"></path>
  </g>`
}
