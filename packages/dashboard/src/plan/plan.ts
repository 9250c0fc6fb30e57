import type { WirePlan, WireServer } from '@pintail/core/wire'
import { html, nothing, type PropertyValues, svg, type TemplateResult } from 'lit'
import { Asking, problem, type Question } from '../base/asking.ts'
import { PintailElement } from '../base/element.ts'
import { duration, percent } from '../base/figures.ts'
import { lists } from '../base/lists.ts'
import { table } from '../base/table.ts'
import { Twin } from '../base/twin.ts'
import { theirs, way } from '../migrations/view.ts'
import type { Outcome } from '../session/requests.ts'
import type { Session } from '../session/session.ts'
import { type Trouble, troubleOf } from '../session/trouble.ts'
import { type Bar, barsOf, movingOf, stayingOf, targetsOf } from './bars.ts'
import { dryRun, type Execution, execute } from './execution.ts'
import { styles } from './styles.ts'

/** Servers to choose from at once: the rest is found by name. */
const shownAtOnce = 60
/** The API plans for so many at once. */
const mostChosen = 200
const listed = 100

/**
 * `<pintail-plan>`: the dry run of a drain: choose servers, see where all would go, how full each server gets, who stays and
 * why, and when; then carry out exactly that plan. If something has changed meanwhile nothing is done, and the new plan is offered.
 */
export class PintailPlan extends PintailElement {
  static override styles = [PintailElement.styles, lists, styles]

  protected override readonly watches = ['servers', 'denied', 'link', 'fleet'] as const

  readonly #asking = new Asking(this, () => this.t)
  readonly #twin = new Twin(this, () => this.t)
  readonly #chosen = new Set<string>()
  #find = ''
  #plan: WirePlan | null = null
  #state: 'idle' | 'planning' | 'begun' = 'idle'
  #trouble: Trouble | null = null
  #needsChoice = false
  #stale: Extract<Execution, { kind: 'stale' }> | null = null
  #begunUsers = 0
  #run: AbortController | null = null
  #focus: string | null = null

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#run?.abort()
    this.#run = null
    if (this.#state === 'planning') this.#state = 'idle'
  }

  protected override updated(_changed: PropertyValues): void {
    if (this.#focus === null) return
    const target = this.renderRoot.querySelector<HTMLElement>(this.#focus)
    this.#focus = null
    target?.focus()
    target?.scrollIntoView({ block: 'nearest' })
  }

  async #dryRun(): Promise<void> {
    const { active } = this
    const chosen = [...this.#chosen]
    this.#needsChoice = chosen.length === 0
    if (!active || chosen.length === 0) {
      this.requestUpdate()
      return
    }
    this.#run?.abort()
    const run = new AbortController()
    this.#run = run
    this.#state = 'planning'
    this.#trouble = null
    this.#stale = null
    this.requestUpdate()
    try {
      const plan = await dryRun(active.client, chosen, run.signal)
      if (run.signal.aborted) return
      this.#plan = plan
      this.#focus = '#result'
    } catch (error) {
      if (run.signal.aborted) return
      this.#plan = null
      this.#trouble = troubleOf(error)
    }
    this.#state = 'idle'
    this.requestUpdate()
  }

  /** What came of it is shown in the element itself: a changed plan is more than a dialog can hold. */
  async #execute(session: Session, plan: WirePlan): Promise<Outcome> {
    const done = await execute(session, plan)
    if (done.kind === 'failed') {
      // Those that are being emptied already are not to be chosen again.
      if (done.began > 0) {
        this.#plan = null
        for (const id of plan.from_server_ids.slice(0, done.began)) this.#chosen.delete(id)
      }
      return done.outcome
    }
    if (done.kind === 'begun') {
      this.#state = 'begun'
      this.#begunUsers = done.users
      this.#plan = null
      this.#stale = null
      this.#chosen.clear()
      this.announce(this.t.plan.begun(this.t.common.users(done.users)))
    } else {
      this.#stale = done
      this.#plan = done.plan
      this.#chosen.clear()
      for (const id of done.remaining) this.#chosen.add(id)
    }
    return { ok: true }
  }

  #ask(plan: WirePlan): Question {
    const { plan: p, common } = this.t
    const users = common.users(movingOf(plan))
    const n = plan.from_server_ids.length
    return {
      title: n === 1 ? p.askOne : p.askSeveral(n),
      text: html`${plan.from_server_ids.slice(0, 10).map((id) => html`${this.#nameOf(id)} `)}<br />${n === 1 ? p.askText(users) : p.askTextSeveral(users)}`,
      confirm: this.t.common.confirm,
      isDangerous: true,
      request: () => (session) => this.#execute(session, plan),
      onDone: () => {
        this.#focus = this.#stale ? '#stale' : '#begun'
        this.requestUpdate()
      },
    }
  }

  #name(id: string): string {
    return this.model.serverById.get(id)?.name ?? id
  }

  #nameOf(id: string): TemplateResult {
    return this.name(this.#name(id))
  }

  protected override render(): TemplateResult {
    const { t } = this
    const { plan: p } = t
    const isPlanning = this.#state === 'planning'
    return html`<section class="card" part="card" aria-labelledby="title">
        <h2 id="title">${p.title}</h2>
        <p class="quiet">${p.intro}</p>
        <form @submit=${(event: SubmitEvent) => {
          event.preventDefault()
          if (!isPlanning) void this.#dryRun()
        }}>
          ${this.#choices()}
          <div class="row">
            <button type="submit" part="button" class=${this.#plan ? '' : 'primary'} data-dry-run aria-disabled=${isPlanning ? 'true' : nothing}>
              ${isPlanning ? p.running : this.#plan ? p.runAgain : p.run}
            </button>
            <span class="quiet">${p.chosen(this.#chosen.size)}</span>
          </div>
          <div role="alert">${this.#needsChoice ? html`<p class="tone-bad">${p.chooseFirst}</p>` : nothing}</div>
        </form>
        <div role="alert">${this.#trouble ? problem(t, p.failed, this.#trouble) : nothing}</div>
        ${this.#state === 'begun' ? html`<p id="begun" class="begun" tabindex="-1">${p.begun(t.common.users(this.#begunUsers))}</p>` : nothing}
        ${this.#stale ? this.#changes(this.#stale) : nothing} ${this.#plan ? this.#drawn(this.#plan) : nothing}
      </section>
      ${this.liveRegion()} ${this.#asking.render()}`
  }

  // --------------------------------------------------------------------------------------------------------- to choose

  #choices(): TemplateResult {
    const { t, model } = this
    const { plan: p } = t
    const wanted = this.#find.trim().toLowerCase()
    const found = model.servers.filter(
      ({ server_id: id, name, region }) =>
        wanted === '' || name.toLowerCase().includes(wanted) || id.toLowerCase().includes(wanted) || region?.toLowerCase().includes(wanted),
    )
    // Those that are chosen stay in sight, whatever is looked for.
    const shown = [
      ...found.filter(({ server_id: id }) => this.#chosen.has(id)),
      ...found.filter(({ server_id: id }) => !this.#chosen.has(id)),
    ]
    const inSight = this.#chosen.size > 0 && found.length > shownAtOnce ? shown : found
    return html`<fieldset>
      <legend>${p.choose}</legend>
      ${
        model.servers.length > 12
          ? html`<input class="find" type="search" aria-label=${p.find} placeholder=${p.find} maxlength="100" autocomplete="off" .value=${this.#find}
              @input=${(event: InputEvent) => {
                this.#find = (event.currentTarget as HTMLInputElement).value
                this.requestUpdate()
              }} />`
          : nothing
      }
      <div class="choices" part="choices">${inSight.slice(0, shownAtOnce).map((one) => this.#choice(one))}</div>
      ${found.length === 0 ? html`<p class="quiet">${model.servers.length === 0 ? t.map.empty : p.noMatch}</p>` : nothing}
      ${found.length > shownAtOnce ? html`<p class="quiet">${p.more(found.length - shownAtOnce)}</p>` : nothing}
    </fieldset>`
  }

  #choice({ server_id: id, name, load, capacity }: WireServer): TemplateResult {
    const choose = (event: Event): void => {
      const box = event.currentTarget as HTMLInputElement
      if (box.checked && this.#chosen.size < mostChosen) this.#chosen.add(id)
      else this.#chosen.delete(id)
      box.checked = this.#chosen.has(id)
      this.#needsChoice = false
      // What stands below was planned for others.
      this.#plan = null
      this.#stale = null
      this.#state = this.#state === 'begun' ? 'idle' : this.#state
      this.requestUpdate()
    }
    return html`<label><input type="checkbox" value=${id} .checked=${this.#chosen.has(id)} @change=${choose} />
      <span>${this.name(name, 32)}</span>
      <span class="quiet">${load === null ? '' : capacity === null ? this.words.number(load) : this.t.map.fullness(load, capacity)}</span></label>`
  }

  // ---------------------------------------------------------------------------------------------------------- the plan

  #changes({ differences, texts, began }: Extract<Execution, { kind: 'stale' }>): TemplateResult {
    const { plan: p } = this.t
    return html`<div id="stale" class="stale" part="stale" tabindex="-1" role="region" aria-label=${p.changes}>
      <p><b>${began === 0 ? p.stale : p.stalePart(began)}</b></p>
      <ul role="list">
        ${texts.slice(0, 20).map((text) => html`<li>${theirs(text)}</li>`)}
        ${differences
          .slice(0, 20)
          .map(
            ({ serverId, before, now }) =>
              html`<li>${serverId === null ? p.noPlace : this.#nameOf(serverId)}: ${p.nowInstead(before, now)}</li>`,
          )}
      </ul>
      ${began > 0 || (this.#plan?.from_server_ids.length ?? 0) > 1 ? html`<p class="quiet">${p.cordoned}</p>` : nothing}
    </div>`
  }

  #drawn(plan: WirePlan): TemplateResult {
    const { t, words } = this
    const { plan: p, common } = t
    const moving = movingOf(plan)
    const nobody = moving === 0 && plan.unplaced_total === 0
    const bars = barsOf(plan)
    return html`<h3 id="result" tabindex="-1" class="result">${nobody ? p.nobody : p.result(common.users(moving), common.servers(targetsOf(plan)))}</h3>
      <p class="facts">${p.asOf} ${words.clock(Date.parse(plan.created_at))}</p>
      <div class="row spread"><h3>${p.fill}</h3> ${this.#twin.button()}</div>
      ${this.#twin.render(
        () => this.#picture(bars),
        () => this.#table(bars),
      )}
      <h3>${p.goes}</h3>
      <ul role="list">${plan.placements
        .slice(0, listed)
        .map(
          ({ from_server_id: from, to_server_id: to, connections }) =>
            html`<li>${way(this.#nameOf(from), this.#nameOf(to), t)} <span class="quiet">${common.users(connections)}</span></li>`,
        )}</ul>
      ${plan.from_server_ids.length > 1 ? html`<p class="quiet">${p.several}</p>` : nothing}
      <h3>${p.stays}</h3>
      ${this.#staying(plan)} ${this.#schedule(plan)}
      <div class="row execute">
        ${this.#asking.button(p.execute, 'servers:drain', () => this.#ask(plan), { kind: 'primary' })}
      </div>`
  }

  #figures({ before, after, capacity, change, isTooFull, isSource }: Bar): TemplateResult {
    const { words, t } = this
    const { plan: p } = t
    const number = (value: number | null): string => (value === null ? p.unknown : words.number(value))
    const share = after !== null && capacity !== null && capacity > 0 ? ` (${percent(words, after / capacity)})` : ''
    return html`<span class="figures"><span class="unseen">${p.before} </span>${number(before)} <span aria-hidden="true">→</span>
      <span class="unseen">, ${p.after} </span><b>${number(after)}</b>${capacity === null ? '' : ` / ${number(capacity)}`}${share}
      ${change > 0 ? html`<span class="quiet">+${words.number(change)}</span>` : nothing}
      ${isTooFull ? html`<b class="tone-bad">${p.tooFull}</b>` : nothing} ${isSource ? html`<span class="quiet">${p.source}</span>` : nothing}</span>`
  }

  #picture(bars: readonly Bar[]): TemplateResult {
    const { plan: p } = this.t
    const swatch = (shape: TemplateResult, word: string): TemplateResult =>
      html`<span><svg viewBox="0 0 14 12" aria-hidden="true">${shape}</svg>${word}</span>`
    return html`<p class="facts legend">
        ${swatch(svg`<rect class="kept" width="14" height="12"></rect>`, p.before)}
        ${swatch(svg`<rect class="come" width="14" height="12"></rect>`, p.arriving)}
        ${swatch(svg`<rect class="go" x="1" y="1" width="12" height="10"></rect>`, p.leaving)}
        ${swatch(svg`<line class="limit" x1="7" x2="7" y1="0" y2="12"></line>`, p.capacity)}
      </p>
      <ul class="bars" role="list" part="bars">${bars.slice(0, listed).map(
        (bar) => html`<li data-server=${bar.serverId}>
          <span>${this.#nameOf(bar.serverId)}</span>
          <svg class="bar" part="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            <rect class="kept" x="0" y="0" width=${bar.kept * 100} height="10"></rect>
            ${
              bar.change === 0
                ? nothing
                : svg`<rect class=${bar.change > 0 ? (bar.isTooFull ? 'come over' : 'come') : 'go'} x=${bar.kept * 100} y="0" width=${bar.changed * 100} height="10"></rect>`
            }
            ${bar.limit !== null && bar.limit < 1 ? svg`<line class="limit" x1=${bar.limit * 100} x2=${bar.limit * 100} y1="0" y2="10"></line>` : nothing}
          </svg>
          ${this.#figures(bar)}
        </li>`,
      )}</ul>`
  }

  #table(bars: readonly Bar[]): TemplateResult {
    const { t, words } = this
    const { plan: p } = t
    const number = (value: number | null): string => (value === null ? p.unknown : words.number(value))
    return table(
      p.fill,
      [t.map.server, p.before, p.after, p.capacity, '%'],
      bars
        .slice(0, listed)
        .map((one) => [
          this.#nameOf(one.serverId),
          number(one.before),
          number(one.after),
          number(one.capacity),
          one.after !== null && one.capacity ? percent(words, one.after / one.capacity) : '–',
        ]),
    )
  }

  #staying(plan: WirePlan): TemplateResult {
    const { t } = this
    const { plan: p, why: w } = t
    const groups = stayingOf(plan)
    if (plan.unplaced_total === 0) return html`<p class="tone-good">${p.allMove}</p>`
    return html`<p class="tone-waiting">${p.staying(plan.unplaced_total)}</p>
      <ul role="list">${groups.map(
        ({ code, message, examples }) => html`<li data-code=${code}><b>${w.unplacedCode[code] ?? code}</b>: ${theirs(message)}
          <span class="quiet">${p.examples} ${examples.map((id, index) => html`${index > 0 ? ', ' : ''}${this.name(id, 24)}`)}</span></li>`,
      )}</ul>
      ${
        plan.shortfalls.length === 0
          ? nothing
          : html`<p><b>${p.room}</b></p><ul role="list">${plan.shortfalls.slice(0, 20).map(({ message }) => html`<li>${theirs(message)}</li>`)}</ul>`
      }`
  }

  #schedule({ schedule }: WirePlan): TemplateResult {
    const { t, words } = this
    const { plan: p, common } = t
    const { expected_ms: expected, waves } = schedule
    if (waves.length === 0) return html``
    return html`<h3>${p.schedule}</h3>
      <p>${expected === null ? p.takesUnknown : p.takes(duration(words, Math.max(1000, expected)))}</p>
      ${
        waves.length < 2
          ? nothing
          : html`<details><summary>${p.waves(waves.length)}</summary><ol role="list" class="facts">${waves
              .slice(0, 40)
              .map(
                ({ starts_after_ms: starts, connections, targets }) =>
                  html`<li>${p.begins} ${duration(words, starts)}: ${common.users(connections)}, ${common.servers(targets)}</li>`,
              )}</ol></details>`
      }`
  }
}
