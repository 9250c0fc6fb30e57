import { nothing, type SVGTemplateResult, svg } from 'lit'
import { stateOrder, stateSign, toneOfState } from '../base/states.ts'
import { shortened } from '../base/text.ts'
import type { Messages } from '../messages/index.ts'
import { type Arrow, courseOf, widthOf } from './arrows.ts'
import { type MapNode, type RegionNode, type ServerNode, spacing } from './layout.ts'

const headLength = 11

/** How large letters must be in the units of the picture, so that they can be read, and how many of them fit. */
export interface Letters {
  readonly size: number
  readonly most: number
}

/** @param scale pixels for a unit */
export function lettersFor(scale: number): Letters {
  const size = Math.round(Math.min(Math.max(12, 11.5 / Math.max(scale, 0.01)), 40))
  return { size, most: Math.max(4, Math.floor(spacing / (0.6 * size))) }
}

/** Part of a circle from 12 o'clock, `share` 0..1, as a path; the whole one in two halves, as an arc cannot end where it begins. */
function arc(r: number, from: number, share: number): string {
  const point = (turn: number): string => {
    const angle = turn * 2 * Math.PI - Math.PI / 2
    return `${(r * Math.cos(angle)).toFixed(2)} ${(r * Math.sin(angle)).toFixed(2)}`
  }
  if (share <= 0) return ''
  const to = from + Math.min(share, 1)
  const middle = (from + to) / 2
  return `M${point(from)} A${r} ${r} 0 0 1 ${point(middle)} A${r} ${r} 0 0 1 ${point(to)}`
}

/**
 * Seed 004's arrows. Scheduled and approved: dashed. Preparing: bold, and its flow moves. Transferring: wavy, and moves. Green completed,
 * blue in progress, yellow scheduled or approved, grey suggested, red failed (with a cross). Width: users.
 */
export function drawArrow(arrow: Arrow, from: MapNode, to: MapNode, label: string, bow?: number): SVGTemplateResult {
  const { status, tone, users } = arrow
  const isBold = status === 'preparing'
  const isWavy = status === 'transferring'
  const width = widthOf(users) + (isBold ? 4 : 0)
  const head = headLength + width
  const gap = (node: MapNode): { x: number; y: number; r: number } => ({ x: node.x, y: node.y, r: node.r + 8 })
  const { d, tip, angle, middle } = courseOf(gap(from), gap(to), isWavy, head, bow)
  const size = head / headLength
  return svg`<g class="arrow tone-${tone}" part="arrow" data-status=${status} data-tone=${tone} data-users=${users}
      data-from=${arrow.from} data-to=${arrow.to} aria-hidden="true">
    <path class="back" d=${d} stroke-width=${width + 4}></path>
    <path class="line" d=${d} stroke-width=${width}></path>
    ${isBold ? svg`<path class="flow" d=${d} stroke-width=${Math.max(2, width * 0.4)}></path>` : nothing}
    <path class="head" d="M0 0 L-11 -5.5 L-11 5.5 Z" transform="translate(${tip.x} ${tip.y}) rotate(${angle}) scale(${size})"></path>
    ${status === 'failed' ? svg`<path class="cross" d="M-7 -7 L7 7 M7 -7 L-7 7" transform="translate(${middle.x} ${middle.y})"></path>` : nothing}
    ${status === 'failed' ? nothing : svg`<text class="label" x=${middle.x + middle.outX * (width / 2 + 11)} y=${middle.y + middle.outY * (width / 2 + 9) + 4}>${label}</text>`}
    <title>${label}</title>
  </g>`
}

/** A server: its state by colour and shape, its load as a ring, its name. */
export function drawServer({ r, server, state }: ServerNode, letters: Letters): SVGTemplateResult {
  const { load, reserved, capacity } = server
  const share = load === null || capacity === null || capacity <= 0 ? null : Math.min(1, (load + reserved) / capacity)
  const name = shortened(server.name, letters.most)
  return svg`
    <circle class="halo" r=${r + 6}></circle>
    <circle class="ring" r=${r} stroke-dasharray=${share === null ? '2 4' : nothing}></circle>
    ${share === null ? nothing : svg`<path class="fill" d=${arc(r, 0, share)} data-share=${share.toFixed(3)} data-full=${share >= 0.9 ? '' : nothing}></path>`}
    ${stateSign(state, r - 5)}
    <text class="label" y=${r + 5 + letters.size}>${name.text}</text>`
}

/** A region's name is no wider than its circle, so that neighbours keep theirs. */
const lettersWithin = (r: number, { size }: Letters): number => Math.max(5, Math.floor((2 * r) / (0.63 * size)))

/** A folded region: how many, how many of them in which state, and in words what is worst. */
export function drawFolded({ r, group }: RegionNode, t: Messages, letters: Letters): SVGTemplateResult {
  const total = group.servers.length
  let from = 0
  const shares = stateOrder.map((state) => {
    const share = group.counts[state] / total
    const path = svg`<path class="share tone-${toneOfState[state]}" d=${arc(r, from, share)}></path>`
    from += share
    return share > 0 ? path : nothing
  })
  const bad = group.counts[group.worst]
  const word = group.worst === 'up' ? t.serverState.up : `${bad} ${t.serverState[group.worst]}`
  return svg`
    <circle class="halo" r=${r + 6}></circle>
    <circle class="ring" r=${r}></circle>
    ${shares}
    <text class="big" y=${letters.size * 0.25}>${total}</text>
    <text class="label quiet" y=${letters.size * 1.5}>${word}</text>
    <text class="region" y=${r + 10 + letters.size}>${group.region === null ? t.common.noRegion : shortened(group.region, lettersWithin(r, letters)).text}</text>`
}

/** The circle around an unfolded region, with its name above. */
export function drawAround({ x, y, r, group, more }: RegionNode, t: Messages, letters: Letters): SVGTemplateResult {
  const name = group.region === null ? t.common.noRegion : shortened(group.region, lettersWithin(r, letters)).text
  return svg`<g transform="translate(${x} ${y})" aria-hidden="true">
    <circle class="around" r=${r}></circle>
    <text class="region" y=${-r - 6}>${name}${more > 0 ? ` (+${more})` : ''}</text>
  </g>`
}
