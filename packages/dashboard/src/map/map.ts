import type { WireServer } from '@pintail/core/wire'
import { html, nothing, type PropertyValues, svg, type TemplateResult } from 'lit'
import { Asking } from '../base/asking.ts'
import { PintailElement } from '../base/element.ts'
import { type ServerState, serverState, stateOrder, stateSign } from '../base/states.ts'
import { shortened } from '../base/text.ts'
import { Twin } from '../base/twin.ts'
import type { Model } from '../session/model.ts'
import { type Arrow, type ArrowStatus, arrowsOf, bowOf, isShown } from './arrows.ts'
import { serverDetails } from './details.ts'
import { drawAround, drawArrow, drawFolded, drawServer, type Letters, lettersFor } from './drawing.ts'
import {
  foldAbove,
  groupsOf,
  type Layout,
  layoutOf,
  type MapNode,
  nextNode,
  placesKey,
  type RegionNode,
  refreshed,
  regionId,
} from './layout.ts'
import { mapStyles } from './styles.ts'
import { arrowTable, loadText, serverTable } from './table.ts'

/** So many regions are unfolded at once at most: a third one folds the first. */
const mostUnfolded = 2

/** So many arrows move at most: with more of them a browser would be drawing all the time, and nobody would see which ones do. */
const mostMoving = 24

/** So many nodes appear with one picture, and as many with each that follows: no key waits for hundreds. */
const newAtOnce = 30

const legend: readonly ArrowStatus[] = ['suggested', 'scheduled', 'preparing', 'transferring', 'completing', 'completed', 'failed']

const isMoving = ({ status }: Arrow): boolean => status === 'preparing' || status === 'transferring'

/**
 * `<pintail-map>`: servers by region, each with its state as colour, shape and word and its load as a ring; migrations as seed 004's
 * arrows, one a pair. Above 300 servers regions are folded; a click or Enter unfolds one. Arrow keys move between servers, Enter opens
 * one. The button beside the title shows the same as tables.
 *
 * Sends `pintail-server` with `detail.serverId` when somebody opens a server.
 */
export class PintailMap extends PintailElement {
  static override properties = {
    ...PintailElement.properties,
    opened: { state: true },
    current: { state: true },
    page: { state: true },
    width: { state: true },
  }

  static override styles = [PintailElement.styles, mapStyles]

  /** Id of the server whose details are open. */
  declare opened: string | null
  /** Id of the node that Tab comes to. */
  declare current: string | null
  declare page: number
  declare width: number

  protected override readonly watches = ['servers', 'migrations', 'denied', 'link'] as const

  readonly #asking = new Asking(this, () => this.t)
  readonly #twin = new Twin(this, () => this.t)
  #unfolded: readonly string[] = []
  #layout: { readonly key: string; readonly layout: Layout } | null = null
  readonly #bows = new Map<string, number>()
  #drawn = new Set<string>()
  #resize: ResizeObserver | null = null
  /** What is to have the focus after the next drawing: a node's id, or a selector. */
  #focusNext: { readonly node: string } | { readonly selector: string } | null = null
  #opener: HTMLElement | null = null

  constructor() {
    super()
    this.opened = null
    this.current = null
    this.page = 0
    this.width = 800
  }

  override connectedCallback(): void {
    super.connectedCallback()
    this.#resize = new ResizeObserver(([entry]) => {
      const width = entry?.contentRect.width ?? 0
      // In steps: one more pixel is no reason to place everything anew.
      if (width > 0 && Math.abs(width - this.width) > 60) this.width = Math.round(width)
    })
    this.#resize.observe(this)
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resize?.disconnect()
    this.#resize = null
  }

  protected override modelChanged(model: Model, old: Model): void {
    if (old.servers.length === 0 || old.servers === model.servers) return
    const told: string[] = []
    for (const server of model.servers) {
      const before = old.serverById.get(server.server_id)?.verdict.verdict
      const { verdict } = server.verdict
      if (before === undefined || before === verdict) continue
      if (verdict === 'down') told.push(this.t.map.stateDown(shortened(server.name, 60).text))
      else if (verdict === 'up' && before === 'down') told.push(this.t.map.stateUp(shortened(server.name, 60).text))
    }
    // Hundreds at once are no news that can be listened to: the page's first answer has their number.
    if (told.length > 0) this.announce(told.slice(0, 3).join(' ') + (told.length > 3 ? ` +${told.length - 3}` : ''))
  }

  /** Placed anew only if servers, their regions or the room have changed: a verdict moves nothing, unless the worst alone are drawn. */
  #placed(): Layout {
    const groups = groupsOf(this.model.servers, new Set(this.#unfolded))
    const aspect = this.width < 600 ? 0.75 : this.width < 1400 ? 1.7 : 2.4
    const key = placesKey(groups, aspect)
    if (this.#layout?.key === key) return refreshed(this.#layout.layout, groups)
    const layout = layoutOf(groups, aspect)
    this.#layout = { key, layout }
    return layout
  }

  // ------------------------------------------------------------------------------------------------- keyboard and mouse

  #activate(node: MapNode, opener: HTMLElement | null): void {
    this.current = node.id
    if (node.kind === 'server') this.#open(node.server, opener)
    else this.#unfold(node)
  }

  #unfold({ id, group }: RegionNode): void {
    this.#unfolded = [...this.#unfolded, id].slice(-mostUnfolded)
    this.requestUpdate()
    const first = this.#firstShown(group.servers)
    if (first === null) return
    this.current = first
    this.#focusNext = { node: first }
  }

  #firstShown(servers: readonly WireServer[]): string | null {
    const ranked = [...servers].sort((a, b) => stateOrder.indexOf(serverState(a)) - stateOrder.indexOf(serverState(b)))
    return ranked[0]?.server_id ?? null
  }

  #fold(id: string): void {
    this.#unfolded = this.#unfolded.filter((one) => one !== id)
    this.current = id
    this.#focusNext = { node: id }
    this.requestUpdate()
  }

  #open(server: WireServer, opener: HTMLElement | null): void {
    this.opened = server.server_id
    this.#opener = opener
    this.#focusNext = { selector: '#details-title' }
    this.dispatchEvent(new CustomEvent('pintail-server', { bubbles: true, composed: true, detail: { serverId: server.server_id } }))
  }

  readonly #close = (): void => {
    const id = this.opened
    this.opened = null
    const opener = this.#opener
    this.#opener = null
    if (opener?.isConnected) opener.focus()
    else if (id !== null) this.#focusNext = { node: id }
  }

  #onKey(event: KeyboardEvent, node: MapNode, layout: Layout): void {
    const { key } = event
    if (event.altKey || event.ctrlKey || event.metaKey) return
    if (key === 'Enter' || key === ' ') this.#activate(node, event.currentTarget as HTMLElement)
    else if (key === 'ArrowUp' || key === 'ArrowDown' || key === 'ArrowLeft' || key === 'ArrowRight')
      this.#goTo(nextNode(layout.nodes, node, key))
    else if (key === 'Home') this.#goTo(layout.nodes[0] ?? null)
    else if (key === 'End') this.#goTo(layout.nodes.at(-1) ?? null)
    else if (key === 'Escape' && node.kind === 'server' && this.#isFoldable(node.server.region)) this.#fold(regionId(node.server.region))
    else return
    event.preventDefault()
  }

  #isFoldable(region: string | null): boolean {
    return this.#unfolded.includes(regionId(region)) && this.model.servers.length > foldAbove
  }

  #goTo(node: MapNode | null): void {
    if (!node) return
    this.current = node.id
    this.#focusNext = { node: node.id }
    this.requestUpdate()
  }

  protected override updated(_changed: PropertyValues): void {
    const next = this.#focusNext
    this.#focusNext = null
    if (!next) return
    const selector = 'node' in next ? `[data-node="${CSS.escape(next.node)}"]` : next.selector
    this.renderRoot.querySelector<HTMLElement>(selector)?.focus()
  }

  // -------------------------------------------------------------------------------------------------------------- drawing

  protected override render(): TemplateResult {
    const { t, model } = this
    const server = this.opened === null ? undefined : model.serverById.get(this.opened)
    return html`<section class="card" part="card" aria-labelledby="title">
      <div class="row spread">
        <h2 id="title">${t.map.title}</h2>
        <div class="row">${this.#unfoldedButtons()} ${model.servers.length === 0 ? nothing : this.#twin.button()}</div>
      </div>
      ${
        model.servers.length === 0
          ? html`<p class="quiet">${model.fleet === null ? t.link.loading : t.map.empty}</p>`
          : this.#twin.render(
              () => this.#picture(),
              () => this.#tables(),
            )
      }
      ${
        server
          ? serverDetails({
              server,
              migrations: model.migrations,
              words: this.words,
              asking: this.#asking,
              name: (name, most) => this.name(name, most),
              time: (iso) => this.time(iso),
              close: this.#close,
            })
          : nothing
      }
      ${this.#asking.render()} ${this.liveRegion()}
    </section>`
  }

  #unfoldedButtons(): TemplateResult[] {
    if (this.model.servers.length <= foldAbove || this.#twin.isTable) return []
    return this.#unfolded.map((id) => {
      const region = (JSON.parse(id) as [string, string | null])[1]
      return html`<button type="button" part="button" @click=${() => this.#fold(id)}>
        ${this.t.map.fold}: ${region === null ? this.t.common.noRegion : this.name(region, 20)}
      </button>`
    })
  }

  #picture(): TemplateResult {
    const { t, model } = this
    const layout = this.#placed()
    const { x, y, width, height } = layout.box
    const arrows = arrowsOf(model.migrations, (id) => layout.nodeOf.get(id)?.id ?? null, this.now())
    const byId = new Map(layout.nodes.map((node) => [node.id, node]))
    const current = (this.current !== null && byId.has(this.current) ? this.current : layout.nodes[0]?.id) ?? null
    const letters = lettersFor(Math.min(1, this.width / width))
    return html`<div class="picture">
        <p id="keys" class="unseen">${t.map.keys}</p>
        <svg
          class="map ${letters.most < 6 ? 'tiny' : ''} ${arrows.filter(isMoving).length > mostMoving ? 'still' : ''}"
          part="picture"
          viewBox="${x} ${y} ${width} ${height}"
          width=${width}
          height=${height}
          font-size=${letters.size}
          role="group"
          aria-labelledby="title"
          aria-describedby="keys"
        >
          ${layout.regions.map((region) => drawAround(region, t, letters))} ${arrows.map((arrow) => this.#arrow(arrow, byId, arrows))}
          ${this.#appeared(layout.nodes, current).map((node) => this.#node(node, node.id === current, layout, letters))}
        </svg>
      </div>
      ${this.#legend()}`
  }

  /** Those that have been drawn, the one that is to have the focus, and some more. */
  #appeared(nodes: readonly MapNode[], current: string | null): readonly MapNode[] {
    let room = newAtOnce
    const shown = nodes.filter(({ id }) => this.#drawn.has(id) || id === current || --room >= 0)
    this.#drawn = new Set(shown.map(({ id }) => id))
    if (room < 0) requestAnimationFrame(() => this.requestUpdate())
    return shown
  }

  #arrow(arrow: Arrow, byId: ReadonlyMap<string, MapNode>, all: readonly Arrow[]): unknown {
    const from = byId.get(arrow.from)
    const to = byId.get(arrow.to)
    if (!from || !to) return nothing
    const moved = arrow.migrations.reduce((sum, one) => sum + one.connections_moved, 0)
    const label =
      arrow.status === 'transferring' ? `${this.words.number(moved)}/${this.words.number(arrow.users)}` : this.words.number(arrow.users)
    return drawArrow(arrow, from, to, label, this.#bow(arrow, from, to, byId, all))
  }

  /** Looked for once a place: whether something stands in the way changes with the places alone. */
  #bow(arrow: Arrow, from: MapNode, to: MapNode, byId: ReadonlyMap<string, MapNode>, all: readonly Arrow[]): number {
    const hasReverse = all.some((one) => one.from === arrow.to && one.to === arrow.from)
    const key = JSON.stringify([from.x, from.y, to.x, to.y, hasReverse, byId.size])
    const known = this.#bows.get(key)
    if (known !== undefined) return known
    const others = [...byId.values()].filter((node) => node !== from && node !== to)
    const bow = bowOf(from, to, others, hasReverse)
    if (this.#bows.size > 2000) this.#bows.clear()
    this.#bows.set(key, bow)
    return bow
  }

  #node(node: MapNode, isCurrent: boolean, layout: Layout, letters: Letters): unknown {
    const isRegion = node.kind === 'region'
    return svg`<g
      class="node"
      part="node"
      data-node=${node.id}
      data-state=${isRegion ? node.group.worst : node.state}
      role="button"
      tabindex=${isCurrent ? 0 : -1}
      aria-expanded=${isRegion ? 'false' : this.opened === node.id ? 'true' : 'false'}
      transform="translate(${node.x} ${node.y})"
      @click=${(event: Event) => this.#activate(node, event.currentTarget as HTMLElement)}
      @keydown=${(event: KeyboardEvent) => this.#onKey(event, node, layout)}
    >
      <title>${this.#label(node)}</title>
      ${isRegion ? drawFolded(node, this.t, letters) : drawServer(node, letters)}
    </g>`
  }

  #label(node: MapNode): string {
    const { t } = this
    if (node.kind === 'server') {
      const { server, state } = node
      return `${shortened(server.name, 80).text}, ${t.serverState[state]}, ${t.map.load}: ${loadText(server, this.words)}`
    }
    const { region, servers, counts } = node.group
    const parts = stateOrder
      .filter((state) => counts[state] > 0)
      .map((state) => `${this.words.number(counts[state])} ${t.serverState[state]}`)
    return `${region === null ? t.common.noRegion : shortened(region, 80).text}: ${t.common.servers(servers.length)} (${parts.join(', ')}). ${t.map.unfold}`
  }

  #legend(): TemplateResult {
    const { t } = this
    const states: readonly ServerState[] = stateOrder
    return html`<details class="legend">
      <summary>${t.map.legend}</summary>
      <ul>
        ${states.map((state) => html`<li><svg class="key" viewBox="-12 -12 24 24" aria-hidden="true">${stateSign(state, 10)}</svg>${t.serverState[state]}</li>`)}
      </ul>
      <ul>
        ${legend.map((status) => html`<li>${this.#legendArrow(status)}${status === 'scheduled' ? `${t.status.approved}, ` : ''}${t.status[status]}</li>`)}
      </ul>
    </details>`
  }

  #legendArrow(status: ArrowStatus): TemplateResult {
    const [arrow] = arrowsOf(
      [{ status, from_server_id: 'a', to_server_id: 'b', connection_count_at_start: 2, completed_at: null } as never],
      (id) => id,
      0,
    )
    const end = (id: string, x: number): MapNode => ({ kind: 'server', id, x, y: 0, r: -6 }) as MapNode
    return html`<svg class="key long" viewBox="0 -14 64 28" aria-hidden="true">${arrow ? drawArrow(arrow, end('a', 2), end('b', 60), '') : nothing}</svg>`
  }

  #tables(): TemplateResult {
    const shown = this.model.migrations.filter((one) => isShown(one, this.now()))
    return html`${serverTable({
      servers: this.model.servers,
      page: this.page,
      words: this.words,
      name: (name) => this.name(name),
      open: (server, opener) => this.#open(server, opener),
      turn: (page) => {
        this.page = page
      },
    })}
    ${arrowTable(shown, this.words, (name) => this.name(name))}`
  }
}
