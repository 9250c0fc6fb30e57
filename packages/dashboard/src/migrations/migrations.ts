import type { WireMigration } from '@pintail/core/wire'
import { html, nothing, type PropertyValues, type TemplateResult } from 'lit'
import { Asking, problem } from '../base/asking.ts'
import { PintailElement } from '../base/element.ts'
import { lists } from '../base/lists.ts'
import { type Place, placeOf, restore } from '../base/place.ts'
import { shortened } from '../base/text.ts'
import { Ticking } from '../base/ticking.ts'
import { isEnded, type Model } from '../session/model.ts'
import { type Trouble, troubleOf } from '../session/trouble.ts'
import { anything, type Filter, isAnything, matches } from './filter.ts'
import { type FinishedPage, pageSize, readFinished } from './finished.ts'
import { askEvacuation, askMigration } from './questions.ts'
import { actionsOf, actionsOfEvacuation, finishedRows, openRows, type Row } from './rows.ts'
import { styles } from './styles.ts'
import { type Drawing, evacuationFacts, evacuationSign, evacuationStatus, evacuationWay, migrationBody, migrationSign } from './view.ts'

/** Rows that are made at once: of five hundred the rest is one button away. */
const shownAtOnce = 25
/** Typing is one search, and a wave of endings one reading. */
const settleMs = 400

const statuses = [
  'suggested',
  'approved',
  'scheduled',
  'preparing',
  'transferring',
  'completing',
  'completed',
  'failed',
  'cancelled',
] as const

/**
 * `<pintail-migrations>`: what moves, what waits for a person, and what is over. An evacuation is one row that unfolds into its
 * migrations. What is over comes by pages from the API.
 */
export class PintailMigrations extends PintailElement {
  static override styles = [PintailElement.styles, lists, styles]

  protected override readonly watches = ['migrations', 'evacuations', 'servers', 'progress', 'denied', 'link', 'fleet'] as const

  readonly #asking = new Asking(this, () => this.t)
  #filter: Filter = anything
  #shown = shownAtOnce
  readonly #unfolded = new Map<string, number>()
  #page = 0
  #options: { readonly of: Model['servers'] | null; readonly server: string; readonly made: readonly TemplateResult[] } = {
    of: null,
    server: '',
    made: [],
  }
  #place: Place | null = null
  #finished: FinishedPage | null = null
  #trouble: Trouble | null = null
  #reading: AbortController | null = null
  #waiting: ReturnType<typeof setTimeout> | null = null

  constructor() {
    super()
    new Ticking(this)
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#reading?.abort()
    this.#reading = null
    if (this.#waiting !== null) clearTimeout(this.#waiting)
    this.#waiting = null
  }

  protected override modelChanged(model: Model, old: Model): void {
    if (model.fleet === null) {
      this.#finished = null
      return
    }
    if (old.fleet === null) this.#readSoon(0)
    if (old.migrations === model.migrations) return
    const ended = (all: readonly WireMigration[]): string =>
      all
        .filter(isEnded)
        .map(({ id, status }) => id + status)
        .join()
    if (old.fleet !== null && ended(old.migrations) !== ended(model.migrations)) this.#readSoon(settleMs)
    if (old.fleet !== null) this.#tell(model, old)
  }

  /** What ended, and what begins to wait, in a few words. */
  #tell(model: Model, old: Model): void {
    const m = this.t.migrations
    const before = new Map(old.migrations.map(({ id, status }) => [id, status]))
    const news = (status: WireMigration['status']): number =>
      model.migrations.filter((one) => one.status === status && before.has(one.id) && before.get(one.id) !== status).length
    const asked = new Set(old.evacuations.map(({ id }) => id))
    const waiting = model.evacuations.filter(({ id, status }) => status === 'suggested' && !asked.has(id)).length
    const said = [
      ...(waiting > 0 ? [`${this.t.dashboard.actApprove(waiting)}.`] : []),
      ...(news('failed') > 0 ? [m.saidFailed(news('failed'))] : []),
      ...(news('completed') > 0 ? [m.saidCompleted(news('completed'))] : []),
    ]
    if (said.length > 0) this.announce(said.join(' '))
  }

  #readSoon(ms: number): void {
    if (this.#waiting !== null) return
    this.#waiting = setTimeout(() => {
      this.#waiting = null
      void this.#read()
    }, ms)
  }

  async #read(): Promise<void> {
    const client = this.active?.client
    if (!client || !this.isConnected) return
    this.#reading?.abort()
    const reading = new AbortController()
    this.#reading = reading
    try {
      const found = await readFinished(client, this.#filter, this.#page, reading.signal)
      if (reading.signal.aborted) return
      this.#finished = found
      this.#trouble = null
    } catch (error) {
      if (reading.signal.aborted) return
      this.#trouble = troubleOf(error)
    }
    this.#reading = null
    this.requestUpdate()
  }

  #setFilter(patch: Partial<Filter>): void {
    this.#filter = { ...this.#filter, ...patch }
    this.#page = 0
    this.#shown = shownAtOnce
    if (this.#waiting !== null) clearTimeout(this.#waiting)
    this.#waiting = null
    this.#readSoon('text' in patch ? settleMs : 0)
    this.requestUpdate()
  }

  #turn(page: number): void {
    this.#page = page
    void this.#read()
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed)
    this.#place = placeOf(this.shadowRoot)
  }

  protected override updated(_changed: PropertyValues): void {
    if (this.shadowRoot) restore(this.shadowRoot, this.#place, '#open')
    // Evacuations that are not there any more need no memory.
    if (this.#unfolded.size > 200)
      for (const id of this.#unfolded.keys()) if (!this.model.evacuations.some((one) => one.id === id)) this.#unfolded.delete(id)
  }

  #drawing(): Drawing {
    return {
      words: this.words,
      host: this,
      name: (text) => this.name(text),
      nameOf: (id) => this.#nameOf(id),
      time: (iso) => this.time(iso),
      progress: this.model.progress,
    }
  }

  #nameOf(id: string): string {
    return this.model.serverById.get(id)?.name ?? id
  }

  protected override render(): TemplateResult {
    const { t, model } = this
    const m = t.migrations
    const drawing = this.#drawing()
    const rows = openRows(model.migrations, model.evacuations, this.#filter)
    return html`<section class="card" part="card" aria-labelledby="title">
        <h2 id="title">${m.title}</h2>
        ${this.#filters()}
        <h3 id="open" tabindex="-1">${m.open} <span class="count">${rows.length}</span></h3>
        ${
          rows.length === 0
            ? html`<p class="quiet">${isAnything(this.#filter) ? m.noneOpen : m.noMatch}</p>`
            : html`<ul role="list" aria-labelledby="open" data-list="open">${rows.slice(0, this.#shown).map((row) => this.#row(row, drawing))}</ul>`
        }
        ${
          rows.length > this.#shown
            ? this.#more(Math.min(shownAtOnce, rows.length - this.#shown), () => {
                this.#shown += shownAtOnce
              })
            : nothing
        }
        <h3 id="finished">${m.finished} ${this.#finished?.total == null ? nothing : html`<span class="count">${this.words.number(this.#finished.total)}</span>`}</h3>
        ${this.#finishedList(drawing)}
      </section>
      ${this.liveRegion()} ${this.#asking.render()}`
  }

  #more(n: number, show: () => void): TemplateResult {
    return html`<button type="button" part="button" data-more @click=${() => {
      show()
      this.requestUpdate()
    }}>${this.t.migrations.more(n)}</button>`
  }

  #filters(): TemplateResult {
    const { t } = this
    const m = t.migrations
    const { state, server, reason, text } = this.#filter
    const choose = (key: keyof Filter) => (event: Event) =>
      this.#setFilter({ [key]: (event.currentTarget as HTMLSelectElement).value } as Partial<Filter>)
    const option = (value: string, label: string, now: string): TemplateResult =>
      html`<option value=${value} ?selected=${value === now}>${label}</option>`
    return html`<div class="filters" role="search" aria-label=${m.filter} part="filters">
      <label>${t.map.state}<select name="state" @change=${choose('state')}>
        ${option('', m.anyState, state)} ${statuses.map((one) => option(one, t.status[one], state))}
      </select></label>
      <label>${t.map.server}<select name="server" @change=${choose('server')}>
        ${option('', m.anyServer, server)}
        ${this.#serverOptions(option)}
      </select></label>
      <label>${m.reason}<select name="reason" @change=${choose('reason')}>
        ${option('', m.anyReason, reason)} ${(Object.keys(t.reason) as (keyof typeof t.reason)[]).map((one) => option(one, t.reason[one], reason))}
      </select></label>
      <label>${m.text}<input name="text" type="search" maxlength="200" placeholder=${m.textHint} autocomplete="off" .value=${text}
        @input=${(event: InputEvent) => this.#setFilter({ text: (event.currentTarget as HTMLInputElement).value })} /></label>
      ${isAnything(this.#filter) ? nothing : html`<button type="button" part="button" data-clear @click=${() => this.#setFilter(anything)}>${m.clear}</button>`}
    </div>`
  }

  /** Two thousand names are not cut anew for each figure that changes. */
  #serverOptions(option: (value: string, label: string, now: string) => TemplateResult): readonly TemplateResult[] {
    const { servers } = this.model
    const { server } = this.#filter
    if (this.#options.of !== servers || this.#options.server !== server) {
      const made = servers.map(({ server_id: id, name }) => option(id, shortened(name, 40).text, server))
      this.#options = { of: servers, server, made }
    }
    return this.#options.made
  }

  #row(row: Row, drawing: Drawing): TemplateResult {
    return row.kind === 'migration' ? this.#migration(row.migration, drawing) : this.#evacuation(row, drawing)
  }

  #migration(one: WireMigration, drawing: Drawing): TemplateResult {
    const { t } = this
    const label = `${shortened(one.from_server_name, 40).text} → ${shortened(one.to_server_name, 40).text}`
    return html`<li class="item" part="row" data-id=${one.id} data-status=${one.status}>
      ${migrationSign(one)}
      <div class="body">${migrationBody(one, drawing)}</div>
      <div class="actions">
        ${actionsOf(one).map((action) =>
          this.#asking.button(t.migrations[action], `migrations:${action}`, () => askMigration(action, one, t, (text) => this.name(text)), {
            describe: label,
          }),
        )}
      </div>
    </li>`
  }

  #evacuation({ evacuation: one, migrations }: Extract<Row, { kind: 'evacuation' }>, drawing: Drawing): TemplateResult {
    const { t } = this
    const shown = this.#unfolded.get(one.id)
    const toggle = (): void => {
      if (shown === undefined) this.#unfolded.set(one.id, shownAtOnce)
      else this.#unfolded.delete(one.id)
      this.requestUpdate()
    }
    const label = one.from_server_ids
      .slice(0, 3)
      .map((id) => shortened(this.#nameOf(id), 40).text)
      .join(', ')
    return html`<li class="item" part="row" data-id=${one.id} data-status=${one.status} data-evacuation>
      ${evacuationSign(one)}
      <div class="body">
        <div class="line">
          ${
            migrations.length === 0
              ? evacuationWay(one, migrations, drawing)
              : html`<button type="button" class="fold" aria-expanded=${shown === undefined ? 'false' : 'true'} @click=${toggle}>${evacuationWay(one, migrations, drawing)}</button>`
          }
          ${evacuationStatus(one, drawing)}
        </div>
        ${evacuationFacts(one, migrations, drawing)}
      </div>
      <div class="actions">
        ${actionsOfEvacuation(one).map((action) =>
          this.#asking.button(
            t.migrations[action],
            `evacuations:${action}`,
            () => askEvacuation(action, one, migrations.length, t, (id) => this.name(this.#nameOf(id))),
            { kind: action === 'approve' ? 'primary' : '', describe: label },
          ),
        )}
      </div>
      ${
        shown === undefined
          ? nothing
          : html`<div class="parts">
              <ul role="list" data-list="parts">${migrations.slice(0, shown).map((part) => this.#migration(part, drawing))}</ul>
              ${migrations.length > shown ? this.#more(Math.min(shownAtOnce, migrations.length - shown), () => this.#unfolded.set(one.id, shown + shownAtOnce)) : nothing}
            </div>`
      }
    </li>`
  }

  #finishedList(drawing: Drawing): TemplateResult {
    const { t, model } = this
    const m = t.migrations
    if (this.#trouble) return problem(t, t.common.unreachable, this.#trouble)
    const found = this.#finished
    if (!found) return html`<p class="quiet">${t.link.loading}</p>`
    const rows = finishedRows(this.#newest(found), model.evacuations)
    return html`${
      rows.length === 0
        ? html`<p class="quiet">${found.migrations.length > 0 ? m.above : isAnything(this.#filter) ? m.noneFinished : m.noMatch}</p>`
        : html`<ul role="list" aria-labelledby="finished" data-list="finished">${rows.map((row) => this.#row(row, drawing))}</ul>`
    }
    ${this.#pager(found)}`
  }

  /** The page as it was read, with what the session knows better by now. */
  #newest({ migrations }: FinishedPage): readonly WireMigration[] {
    const known = new Map(this.model.migrations.map((one) => [one.id, one]))
    return migrations.map((one) => known.get(one.id) ?? one).filter((one) => matches(one, this.#filter))
  }

  #pager({ total, scanned, hasMore }: FinishedPage): TemplateResult | typeof nothing {
    const m = this.t.migrations
    if (total === null) return hasMore || scanned > pageSize ? html`<p class="pager quiet">${m.searched(scanned)}</p>` : nothing
    if (total <= pageSize && this.#page === 0) return nothing
    const from = this.#page * pageSize
    const button = (label: string, page: number, isPossible: boolean): TemplateResult =>
      html`<button type="button" part="button" aria-disabled=${isPossible ? nothing : 'true'} @click=${() => isPossible && this.#turn(page)}>${label}</button>`
    return html`<nav class="pager" aria-label=${m.pages}>
      ${button(m.newer, this.#page - 1, this.#page > 0)} ${button(m.older, this.#page + 1, hasMore)}
      <span class="quiet" role="status">${m.range(Math.min(from + 1, total), Math.min(from + pageSize, total), total)}</span>
    </nav>`
  }
}
