import type { WireDecision } from '@pintail/core/wire'
import { html, nothing, type PropertyValues, svg, type TemplateResult } from 'lit'
import { problem } from '../base/asking.ts'
import { PintailElement } from '../base/element.ts'
import { decimal } from '../base/figures.ts'
import { lists } from '../base/lists.ts'
import { link, Opening } from '../base/opening.ts'
import { Reading } from '../base/reading.ts'
import { table } from '../base/table.ts'
import { Ticking } from '../base/ticking.ts'
import { Twin } from '../base/twin.ts'
import { theirs } from '../migrations/view.ts'
import {
  type Cohort,
  cohortsOf,
  type Exclusion,
  exclusionsOf,
  type Factor,
  factorsOf,
  type Segment,
  type Stack,
  stacksOf,
} from './stacks.ts'
import { styles } from './styles.ts'

/** So many candidates are drawn before somebody asks for all, and whoever gets users. */
const drawnAtFirst = 6
/** Of each reason so many servers are named. */
const namedAtOnce = 20

/**
 * `<pintail-why>`: why users go where they go. The ranking of one decision as stacked contributions, who was no target and why, and what was
 * known then. Which one: its attribute `decision-id`, the page's hash `#pintail-decision=…`, what is opened on the page; else the newest.
 */
export class PintailWhy extends PintailElement {
  static override properties = {
    ...PintailElement.properties,
    decisionId: { type: String, attribute: 'decision-id' },
    cohort: { state: true },
    whole: { state: true },
  }
  static override styles = [PintailElement.styles, lists, styles]

  /** Shows this one, whatever is opened elsewhere; null: what the page says. */
  declare decisionId: string | null
  /** Which group of users, by its place. */
  declare cohort: number
  /** Every candidate is drawn. */
  declare whole: boolean

  protected override readonly watches = ['evacuations', 'incidents', 'servers', 'link', 'fleet'] as const

  readonly #twin = new Twin(this, () => this.t)
  readonly #opening = new Opening(this, 'decision', () => this.#show())
  readonly #decision = new Reading<WireDecision>(this)
  #isWanted = false
  #read: string | null = null

  constructor() {
    super()
    this.decisionId = null
    this.cohort = 0
    this.whole = false
    new Ticking(this)
  }

  #show(): void {
    this.#isWanted = true
    this.cohort = 0
    this.requestUpdate()
  }

  /** The newest decision of all that the page knows. */
  get #newest(): string | null {
    const { evacuations, incidents } = this.model
    const all = [
      ...evacuations.map(({ decision_id: id, created_at: at }) => ({ id, at })),
      ...incidents.flatMap(({ decision_id: id, opened_at: at }) => (id === null ? [] : [{ id, at }])),
    ]
    return all.reduce<{ id: string; at: string } | null>((best, one) => (best && best.at >= one.at ? best : one), null)?.id ?? null
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed)
    const { active } = this
    const id = this.decisionId ?? this.#opening.id ?? this.#newest
    if (id !== this.#read) {
      this.cohort = 0
      this.whole = false
    }
    this.#read = id
    this.#decision.want(active ? id : null, active && id !== null ? (signal) => active.client.decision(id, { signal }) : null)
  }

  protected override updated(_changed: PropertyValues): void {
    if (!this.#isWanted || this.#decision.now.state !== 'done') return
    this.#isWanted = false
    const heading = this.renderRoot.querySelector<HTMLElement>('h2')
    heading?.scrollIntoView({ block: 'start' })
    heading?.focus({ preventScroll: true })
  }

  protected override render(): TemplateResult {
    const { t } = this
    return html`<section class="card" part="card" aria-labelledby="title">
        <h2 id="title" tabindex="-1">${t.why.title}</h2>
        ${this.#content()}
      </section>
      ${this.liveRegion()}`
  }

  #content(): TemplateResult {
    const { t } = this
    const { now } = this.#decision
    if (now.state === 'done') return this.#drawn(now.value)
    if (now.state === 'loading') return html`<p class="quiet" role="status">${t.why.loading}</p>`
    if (now.state === 'none') return html`<p class="quiet">${this.model.fleet === null ? t.link.loading : t.why.none}</p>`
    return html`${problem(t, t.common.unreachable, now.why)}
      <button type="button" part="button" @click=${() => this.#decision.again()}>${t.common.retry}</button>`
  }

  #nameOf(id: string): TemplateResult {
    return this.name(this.model.serverById.get(id)?.name ?? id)
  }

  #drawn(decision: WireDecision): TemplateResult {
    const { t } = this
    const { why: w, common } = t
    const cohorts = cohortsOf(decision)
    const cohort = cohorts[Math.min(this.cohort, cohorts.length - 1)]
    return html`<p class="facts" part="facts">
        <span>${t.reason[decision.reason]}</span> <span>${t.incident.mode[decision.mode]}</span>
        <span>${w.from} ${decision.from_server_ids.slice(0, 5).map((id, index) => html`${index > 0 ? ', ' : ''}${this.#nameOf(id)}`)}</span>
        <span>${w.placed(decision.placed, common.users(decision.connections))}</span>
        ${this.time(decision.at)}
        ${decision.incident_id === null ? nothing : link(this, 'incident', decision.incident_id, t.migrations.incident)}
      </p>
      ${cohorts.length > 1 ? this.#chooser(cohorts) : nothing} ${cohort ? this.#ranking(cohort) : html`<p class="quiet">${w.noCandidate}</p>`}
      ${this.#known(decision)}`
  }

  #chooser(cohorts: readonly Cohort[]): TemplateResult {
    const { t } = this
    const { common } = t
    const choose = (event: Event): void => {
      this.cohort = Number((event.currentTarget as HTMLSelectElement).value)
    }
    return html`<label class="row">${t.map.users}
      <select @change=${choose}>${cohorts
        .slice(0, 200)
        .map(
          ({ connections, region }, index) =>
            html`<option value=${index} ?selected=${index === this.cohort}>${common.users(connections)}, ${(region ?? common.noRegion).slice(0, 60)}</option>`,
        )}</select></label>`
  }

  #ranking(cohort: Cohort): TemplateResult {
    const { why: w, common } = this.t
    const stacks = stacksOf(cohort)
    const exclusions = exclusionsOf(cohort)
    const left = Object.entries(cohort.unplaced) as [keyof typeof w.unplacedCode, number][]
    return html`<div class="row spread"><h3>${w.heading}</h3> ${stacks.length > 0 ? this.#twin.button() : nothing}</div>
      ${
        stacks.length === 0
          ? html`<p class="tone-waiting">${w.noCandidate}</p>`
          : this.#twin.render(
              () => this.#picture(stacks),
              () => this.#table(stacks),
            )
      }
      ${
        left.length === 0
          ? nothing
          : html`<h3>${w.unplaced}</h3><ul role="list">${left.map(([code, n]) => html`<li class="tone-waiting">${common.users(n)}: ${w.unplacedCode[code] ?? code}</li>`)}</ul>`
      }
      ${
        exclusions.length === 0
          ? nothing
          : html`<h3>${w.excluded}</h3><ul role="list" class="excluded">${exclusions.map((one) => this.#exclusion(one))}</ul>`
      }`
  }

  #picture(stacks: readonly Stack[]): TemplateResult {
    const { t, words } = this
    const factors = factorsOf(stacks)
    const drawn = stacks.filter(({ gets }, index) => this.whole || index < drawnAtFirst || gets > 0)
    const swatch = (factor: Factor): TemplateResult =>
      html`<span><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="f-${factor}" width="10" height="10"></rect></svg>${t.why.factor[factor]}</span>`
    return html`<p class="facts legend">${factors.map(swatch)}</p>
      <ol class="bars" role="list" part="stacks">${drawn.map(
        (stack) => html`<li data-server=${stack.serverId}>
          <span>${this.#nameOf(stack.serverId)} ${stack.gets > 0 ? html`<span class="gets">${t.why.gets(t.common.users(stack.gets))}</span>` : nothing}</span>
          <svg class="bar" part="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            ${stack.segments.map(({ factor, from, points }) => (points > 0 ? svg`<rect class="f-${factor}" x=${from * 100} y="0" width=${points * 100} height="10"></rect>` : nothing))}
          </svg>
          <span class="score"><span class="unseen">${t.why.score} </span>${decimal(words, stack.score, 2)}</span>
          <details><summary>${t.why.restsOn}</summary>${this.#notes(stack.segments)}</details>
        </li>`,
      )}</ol>
      ${
        drawn.length === stacks.length
          ? nothing
          : html`<button type="button" part="button" data-more @click=${() => {
              this.whole = true
            }}>${t.migrations.more(stacks.length - drawn.length)}</button>`
      }`
  }

  #points({ value, weight }: Segment): string {
    return this.t.why.of(decimal(this.words, value, 2), decimal(this.words, weight, 2))
  }

  #notes(segments: readonly Segment[]): TemplateResult {
    const { t, words } = this
    return html`<dl class="notes">${segments.map(
      (
        one,
      ) => html`<dt>${t.why.factor[one.factor]}</dt><dd>${decimal(words, one.points, 3)} <span class="quiet">(${this.#points(one)})</span></dd>
        <dd class="note">${theirs(one.note)}</dd>`,
    )}</dl>`
  }

  #table(stacks: readonly Stack[]): TemplateResult {
    const { t, words } = this
    const factors = factorsOf(stacks)
    const points = (segments: readonly Segment[], factor: Factor): string => {
      const found = segments.find((one) => one.factor === factor)
      return found ? decimal(words, found.points, 3) : '–'
    }
    return table(
      t.why.heading,
      [t.map.server, t.why.score, ...factors.map((factor) => t.why.factor[factor]), t.map.users],
      stacks.map(({ serverId, score, segments, gets }) => [
        this.#nameOf(serverId),
        decimal(words, score, 2),
        ...factors.map((factor) => points(segments, factor)),
        gets,
      ]),
    )
  }

  #exclusion({ code, total, named }: Exclusion): TemplateResult {
    const { why: w, common } = this.t
    const { serverState } = this.t
    const known: Readonly<Record<string, string>> = { ...serverState, not_online: serverState.offline, ...w.exclusion }
    const word = known[code] ?? code
    const head = html`<b>${word}</b>: ${common.servers(total)}`
    if (named.length === 0) return html`<li data-code=${code}>${head}</li>`
    return html`<li data-code=${code}><details><summary>${head}</summary><ul role="list">
      ${named.slice(0, namedAtOnce).map(({ serverId, message }) => html`<li>${this.#nameOf(serverId)} <span class="quiet">${theirs(message)}</span></li>`)}
      ${total > Math.min(named.length, namedAtOnce) ? html`<li class="quiet">${w.excludedMore(total - Math.min(named.length, namedAtOnce))}</li>` : nothing}
    </ul></details></li>`
  }

  #known({ verdicts, guards, coverage, policy_version: version }: WireDecision): TemplateResult {
    const { t } = this
    const w = t.why
    return html`<details class="known"><summary>${w.rests}</summary>
      <ul role="list">
        ${verdicts
          .slice(0, 20)
          .map(
            ({ server_id: id, verdict }) =>
              html`<li>${this.#nameOf(id)}: ${t.verdict[verdict.verdict]} <span class="quiet">${theirs(verdict.reasons[0]?.message ?? '')}</span></li>`,
          )}
        ${guards
          .slice(0, 20)
          .map(
            ({ guard, denial }) =>
              html`<li>${t.guards.guard[guard] ?? guard}: ${denial ? theirs(denial.message) : html`<span class="tone-good">${w.allowed}</span>`}</li>`,
          )}
        <li>${w.listed}: ${w.coverage[coverage.kind]}, ${this.time(coverage.as_of)} ${coverage.remembered ? w.remembered : nothing}</li>
        <li>${w.policy(version)}</li>
      </ul>
    </details>`
  }
}
