import type { WireDecision, WireEvacuation, WireIncident, WireMigration } from '@pintail/core/wire'
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit'
import { Asking, problem } from '../base/asking.ts'
import { PintailElement } from '../base/element.ts'
import { duration, milliseconds, percent } from '../base/figures.ts'
import { lists } from '../base/lists.ts'
import { link, Opening } from '../base/opening.ts'
import { Reading } from '../base/reading.ts'
import { table } from '../base/table.ts'
import { Ticking } from '../base/ticking.ts'
import { Twin } from '../base/twin.ts'
import { askAcknowledge, askOverride } from '../guards/questions.ts'
import { askEvacuation } from '../migrations/questions.ts'
import { actionsOfEvacuation } from '../migrations/rows.ts'
import { theirs } from '../migrations/view.ts'
import type { Model } from '../session/model.ts'
import { findEvacuation, findIncident } from './find.ts'
import { type Moment, plots, stageSign, toneOfStage } from './picture.ts'
import { styles } from './styles.ts'
import { type Step, type Story, sortedIncidents, timeline } from './timeline.ts'
import { type Lane, Traces } from './trace.ts'

const shownAtOnce = 10
/** Of the evidence the newest are shown. */
const samplesShown = 20

/**
 * `<pintail-incident>`: the list of incidents, or the story of one: evidence, votes, decision, moves, outcome. Which one: its attribute
 * `incident-id`, or the page's hash `#pintail-incident=…`, or what is opened on the page.
 */
export class PintailIncident extends PintailElement {
  static override properties = { ...PintailElement.properties, incidentId: { type: String, attribute: 'incident-id', reflect: false } }
  static override styles = [PintailElement.styles, lists, styles]

  /** Shows this one, whatever is opened elsewhere; null: what the page's hash says. */
  declare incidentId: string | null

  readonly #asking = new Asking(this, () => this.t)
  readonly #twin = new Twin(this, () => this.t)
  readonly #opening = new Opening(this, 'incident', () => this.#show())
  readonly #older = new Reading<WireIncident | null>(this)
  readonly #evacuation = new Reading<WireEvacuation | null>(this)
  readonly #decision = new Reading<WireDecision>(this)
  readonly #traces = new Traces()
  #shown = shownAtOnce
  #isWanted = false
  #steps: readonly Step[] = []

  constructor() {
    super()
    this.incidentId = null
    new Ticking(this)
  }

  get #id(): string | null {
    return this.incidentId ?? this.#opening.id
  }

  #show(): void {
    this.#isWanted = true
    this.requestUpdate()
  }

  protected override modelChanged(model: Model, old: Model): void {
    if (model.servers !== old.servers) this.#traces.take(model.servers, this.#incident?.server_id ?? null)
  }

  get #incident(): WireIncident | null {
    const id = this.#id
    if (id === null) return null
    return this.model.incidents.find((one) => one.id === id) ?? this.#older.value
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed)
    const { model, active } = this
    const id = this.#id
    // Until the first picture and the first list have come nobody knows what is missing.
    const isMissing = id !== null && active !== null && model.fleet !== null && !model.incidents.some((one) => one.id === id)
    this.#older.want(isMissing ? id : null, isMissing ? (signal) => findIncident(active.client, id, signal) : null)
    const incident = this.#incident
    const evacuationId = incident?.evacuation_id ?? null
    const isForgotten = active !== null && evacuationId !== null && !model.evacuations.some((one) => one.id === evacuationId)
    this.#evacuation.want(
      isForgotten ? evacuationId : null,
      isForgotten ? (signal) => findEvacuation(active.client, evacuationId, signal) : null,
    )
    const decisionId = incident?.decision_id ?? null
    this.#decision.want(
      active ? decisionId : null,
      active && decisionId !== null ? (signal) => active.client.decision(decisionId, { signal }) : null,
    )
  }

  protected override updated(_changed: PropertyValues): void {
    if (this.#isWanted && this.#incident) {
      this.#isWanted = false
      const heading = this.renderRoot.querySelector<HTMLElement>('h2')
      heading?.scrollIntoView({ block: 'start' })
      heading?.focus({ preventScroll: true })
    }
    const incident = this.#incident
    const steps = incident ? timeline(this.#story(incident)) : []
    const old = this.#steps
    this.#steps = steps
    const news = old.length > 0 ? steps.filter(({ state }, index) => state !== old[index]?.state) : []
    const { stage, stageState } = this.t.incident
    if (news.length > 0) this.announce(news.map((one) => `${stage[one.stage]}: ${stageState[one.state]}.`).join(' '))
  }

  #story(incident: WireIncident): Story {
    const { evacuations, migrations } = this.model
    const evacuation = evacuations.find((one) => one.id === incident.evacuation_id) ?? this.#evacuation.value
    return {
      incident,
      evacuation,
      migrations: evacuation ? migrations.filter((one) => one.evacuation_id === evacuation.id) : [],
      decision: this.#decision.value,
    }
  }

  protected override render(): TemplateResult {
    const incident = this.#incident
    return html`<section class="card" part="card" aria-labelledby="title">
        ${incident ? this.#one(incident) : this.#list()}
      </section>
      ${this.liveRegion()} ${this.#asking.render()}`
  }

  // ------------------------------------------------------------------------------------------------------------ list

  #list(): TemplateResult {
    const { t, model } = this
    const { incident: i } = t
    const all = sortedIncidents(model.incidents)
    return html`<h2 id="title" tabindex="-1">${i.title}</h2>
      ${this.#id === null ? nothing : this.#missing()}
      ${
        all.length === 0
          ? html`<p class="quiet">${model.fleet === null ? t.link.loading : i.none}</p>`
          : html`<ul class="list" role="list">${all.slice(0, this.#shown).map((one) => this.#item(one))}</ul>`
      }
      ${
        all.length > this.#shown
          ? html`<button type="button" part="button" @click=${() => {
              this.#shown += shownAtOnce
              this.requestUpdate()
            }}>${t.migrations.more(Math.min(shownAtOnce, all.length - this.#shown))}</button>`
          : nothing
      }`
  }

  #missing(): TemplateResult {
    const { t } = this
    const { now } = this.#older
    if (now.state === 'failed') return problem(t, t.common.unreachable, now.why)
    return html`<p role="status">${now.state === 'done' ? t.incident.notFound : t.incident.looking}</p>`
  }

  #item(one: WireIncident): TemplateResult {
    return html`<li data-id=${one.id}>${link(this, 'incident', one.id, this.name(one.server_name))} ${this.#status(one)}
      <span class="facts">${theirs(one.reasons[0]?.message ?? '', 120)} ${this.time(one.opened_at)}</span></li>`
  }

  #status(one: WireIncident): TemplateResult {
    const { incident: i } = this.t
    const tone = one.status === 'open' ? 'bad' : one.status === 'recovered' ? 'good' : 'idle'
    return html`<span class="tone-${tone}" part="status">${i.status[one.status]}</span>
      ${one.status === 'open' && one.held_by.length > 0 ? html`<span class="tone-waiting">${i.heldNow}</span>` : nothing}
      ${one.acknowledged_at !== null ? html`<span class="quiet">${i.acknowledged}</span>` : nothing}`
  }

  // ------------------------------------------------------------------------------------------------------- one of them

  #one(incident: WireIncident): TemplateResult {
    const { t } = this
    const { incident: i } = t
    const story = this.#story(incident)
    const views = { evidence: this.#evidence, votes: this.#votes, decision: this.#decided, moves: this.#moves, outcome: this.#outcome }
    return html`${
      this.incidentId === null
        ? html`<p><button type="button" part="button" data-back @click=${() => this.#back()}>${i.all}</button></p>`
        : nothing
    }
      <h2 id="title" tabindex="-1">${i.heading} ${this.name(incident.server_name)}</h2>
      <p class="head">${this.#status(incident)} ${this.#whom(incident)}</p>
      <div class="row">${this.#actions(incident)}</div>
      <ol class="steps" role="list">
        ${timeline(story).map(
          (step) => html`<li class="step" part="step" data-stage=${step.stage} data-state=${step.state}>
            ${stageSign(step.state)}
            <h4 role="heading" aria-level="3">${i.stage[step.stage]} <span class="tone-${toneOfStage[step.state]}">${i.stageState[step.state]}</span>
              <span class="quiet">${this.time(step.at)}</span></h4>
            ${views[step.stage].call(this, story)}
          </li>`,
        )}
      </ol>`
  }

  #back(): void {
    this.#opening.close()
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>('h2')?.focus())
  }

  #whom({ audience, failure_domain: domain }: WireIncident): TemplateResult {
    const { incident: i } = this.t
    return html`${audience == null ? nothing : html`<span class="quiet">${audience === '*' ? i.audienceRest : html`${i.audience} ${this.name(audience)}`}</span>`}
    ${domain == null ? nothing : html`<span class="quiet">${i.domain} ${this.name(domain)}</span>`}`
  }

  #actions(incident: WireIncident): TemplateResult | typeof nothing {
    const { guards: g } = this.t
    if (incident.status !== 'open') return nothing
    const { acknowledged_at: acknowledged, override_until: until, held_by: heldBy } = incident
    const overridden = until !== null && Date.parse(until) > this.now()
    return html`${
      acknowledged === null
        ? this.#asking.button(g.acknowledge, 'incidents:acknowledge', () =>
            askAcknowledge(this.t, incident, this.name(incident.server_name, 60)),
          )
        : nothing
    }
      ${heldBy.some(({ guard }) => guard === 'mass_failure') && !overridden ? this.#asking.button(g.override, 'incidents:override-guard', () => askOverride(this.t, incident, this.name(incident.server_name, 60))) : nothing}
      ${overridden ? html`<span class="tone-waiting">${g.overridden(this.words.clock(Date.parse(until)))}</span>` : nothing}`
  }

  #evidence({ incident }: Story): TemplateResult {
    const { t, words } = this
    const { incident: i } = t
    const { control, evidence } = incident
    const lanes = this.#traces.lanes(incident.server_id, evidence)
    const moments: readonly Moment[] = (
      [
        ['suspected', incident.suspected_at],
        ['opened', incident.opened_at],
        ['recovered', incident.recovered_at],
      ] as const
    ).flatMap(([word, at]) => (at === null ? [] : [{ word, at: Date.parse(at) }]))
    return html`<p>${i.suspected} <span class="quiet">${words.dateTime(Date.parse(incident.suspected_at))}</span></p>
      <p class="facts">${control ? html`${i.control} ${this.name(control.host)} ${this.time(control.at)}` : i.noControl}</p>
      <section aria-label=${i.plots}>
        <p class="row spread"><b>${i.plots}</b> ${this.#twin.button()}</p>
        ${this.#twin.render(
          () => plots(lanes, moments, words),
          () => this.#samples(lanes),
        )}
      </section>`
  }

  #samples(lanes: readonly Lane[]): TemplateResult {
    const { t, words } = this
    const { incident: i } = t
    const all = lanes.flatMap(({ vantage, points }) => points.map((point) => ({ vantage, ...point }))).sort((a, b) => b.at - a.at)
    if (all.length === 0) return html`<p class="quiet">${i.noSamples}</p>`
    return table(
      i.plots,
      [t.plan.asOf, i.vantage, i.rtt, i.lossShare],
      all
        .slice(0, samplesShown * lanes.length)
        .map(({ vantage, at, rttMs, loss }) => [
          words.clock(at),
          this.name(vantage),
          rttMs === null ? '–' : milliseconds(words, rttMs),
          percent(words, loss),
        ]),
    )
  }

  #votes({ incident }: Story): TemplateResult {
    const { t, words } = this
    const { incident: i } = t
    const took = Date.parse(incident.opened_at) - Date.parse(incident.suspected_at)
    const votes = incident.votes ?? []
    return html`<p>${i.confirmed} <span class="quiet">${i.after(duration(words, took))}</span></p>
      ${incident.reasons.slice(0, 5).map(({ message }) => html`<p class="facts">${theirs(message)}</p>`)}
      ${
        votes.length === 0
          ? html`<p class="facts">${i.ownVote}</p>`
          : table(
              i.stage.votes,
              [i.vantage, i.verdict, t.migrations.reason],
              votes
                .slice(0, 50)
                .map((vote) => [
                  this.name(vote.vantage),
                  html`<span class="tone-${vote.verdict === 'down' ? 'bad' : vote.verdict === 'up' ? 'good' : 'idle'}">${t.verdict[vote.verdict]}</span>`,
                  theirs(vote.reason),
                ]),
            )
      }`
  }

  #decided({ incident, decision }: Story): TemplateResult {
    const { t } = this
    const { incident: i, common } = t
    const held = incident.status === 'open' ? incident.held_by : []
    return html`${held.slice(0, 5).map(
      ({ guard, message, remedy }) => html`<div class="quoted" data-guard=${guard}>
          <p><b>${t.guards.guard[guard] ?? guard}</b> ${theirs(message)}</p>
          <p class="facts">${t.guards.remedy}: ${theirs(remedy)}</p>
        </div>`,
    )}
      ${
        incident.decision_id === null
          ? html`<p class="quiet">${incident.status === 'open' || held.length > 0 ? i.notDecided : i.nobodyMoved}</p>`
          : html`${
              decision
                ? html`<p>${t.why.placed(decision.placed, common.users(decision.connections))} <span class="quiet">${i.mode[decision.mode]}</span></p>`
                : nothing
            }
            <p class="facts">${link(this, 'decision', incident.decision_id, t.migrations.why)}</p>`
      }`
  }

  #moves({ incident, evacuation, migrations }: Story): TemplateResult {
    const { t } = this
    const { incident: i, common, migrations: m } = t
    if (!evacuation) return html`<p class="quiet">${incident.status === 'open' ? i.notMoved : i.nobodyMoved}</p>`
    const counts = new Map<WireMigration['status'], number>()
    for (const { status } of migrations) counts.set(status, (counts.get(status) ?? 0) + 1)
    return html`<p>${m.moved(evacuation.moved, common.users(evacuation.connections))}
        ${evacuation.status === 'suggested' ? html`<b class="tone-waiting">${i.waitsForYou}</b>` : nothing}
        ${evacuation.status === 'cancelled' ? html`<span class="quiet">${t.status.cancelled}</span>` : nothing}</p>
      <p class="facts">
        ${[...counts].map(([status, n]) => html`<span>${common.migrations(n)} ${t.status[status]}</span>`)}
        ${evacuation.unplaced_total > 0 ? html`<span class="tone-waiting">${m.unplaced(evacuation.unplaced_total)}</span>` : nothing}
        ${evacuation.expected_end_at !== null ? html`<span>${m.ends} ${this.time(evacuation.expected_end_at)}</span>` : nothing}
      </p>
      <div class="row">
        ${actionsOfEvacuation(evacuation).map((action) =>
          this.#asking.button(
            m[action],
            `evacuations:${action}`,
            () => askEvacuation(action, evacuation, migrations.length, t, (id) => this.name(this.model.serverById.get(id)?.name ?? id)),
            { kind: action === 'approve' ? 'primary' : '' },
          ),
        )}
      </div>`
  }

  #outcome({ incident }: Story): TemplateResult {
    const { t, words } = this
    const { incident: i, common } = t
    const { status, recovered_at: recovered, opened_at: opened, status_write: write, failback } = incident
    if (status === 'open') return html`<p class="quiet">${i.stillDown}</p>`
    return html`<p>${
      recovered === null ? i.closedAs : i.lasted(duration(words, Date.parse(recovered) - Date.parse(opened)))
    } ${write && recovered !== null ? html`<span class="quiet">${write.restored_at === null ? i.statusNotBack : i.statusBack}</span>` : nothing}</p>
      ${
        failback
          ? html`<p class="facts">${i.failback}: ${i.failbackState[failback.state]} ${failback.moved > 0 ? i.failbackMoved(common.users(failback.moved)) : nothing}
              ${failback.why === null ? nothing : theirs(failback.why)}</p>`
          : nothing
      }`
  }
}
