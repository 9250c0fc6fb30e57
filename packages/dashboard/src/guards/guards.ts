import type { WireIncident, WirePause } from '@pintail/core/wire'
import { css, html, nothing, type TemplateResult } from 'lit'
import { Asking, type Question } from '../base/asking.ts'
import { PintailElement } from '../base/element.ts'
import type { Model } from '../session/model.ts'
import { askAcknowledge, askOverride, lengths } from './questions.ts'

const minuteMs = 60_000

/** What a pause or an override may last, milliseconds; 0: for good. */
const pauseLengths = [15 * minuteMs, 60 * minuteMs, 4 * 60 * minuteMs, 24 * 60 * minuteMs, 0] as const

type Guard = Model['guards'][number]

/** Servers of one guard that are named; the rest are counted. */
const mostNamed = 12

/**
 * `<pintail-guards>`: what is forbidden now, why, and what helps; pause and resume, acknowledge a known outage, override the
 * mass-failure guard for one incident and for a while.
 */
export class PintailGuards extends PintailElement {
  static override styles = [
    PintailElement.styles,
    css`
      ul {
        list-style: none;
        margin: 0.5rem 0 0;
        padding: 0;
        display: grid;
        gap: 0.5rem;
      }
      li.entry {
        padding: 0.625rem 0.75rem;
        background: var(--ground);
        border: 1px solid var(--line);
        border-inline-start: 4px solid var(--waiting);
        border-radius: calc(var(--radius) * 0.75);
        display: grid;
        gap: 0.375rem;
      }
      li.known {
        border-inline-start-color: var(--idle);
      }
      .why {
        margin: 0;
        padding-inline-start: 1.1rem;
        list-style: disc;
        gap: 0.25rem;
      }
      h3 {
        margin-top: 1rem;
      }
      .calm {
        margin-top: 0.5rem;
      }
      .calm::before {
        content: '✓ ' / '';
        color: var(--good);
        font-weight: 700;
      }
    `,
  ]

  protected override readonly watches = ['guards', 'pauses', 'incidents', 'serverById', 'denied', 'fleet', 'link'] as const

  readonly #asking = new Asking(this, () => this.t)

  protected override modelChanged(model: Model, old: Model): void {
    if (old.fleet === null || old.guards === model.guards) return
    const before = new Set(old.guards.map(({ guard }) => guard))
    const fresh = model.guards.filter(({ guard }) => !before.has(guard))
    if (fresh.length > 0) this.announce(fresh.map(({ guard }) => this.#word(guard)).join('. '))
  }

  protected override render(): TemplateResult {
    const { t, model } = this
    const held = model.incidents.filter(({ status, held_by }) => status === 'open' && held_by.length > 0)
    const isPaused = model.pauses.some(({ scope }) => scope === 'all')
    const isCalm = model.guards.length === 0 && model.pauses.length === 0 && held.length === 0
    return html`<section class="card" part="card" aria-labelledby="title">
      <div class="row spread">
        <h2 id="title">${t.guards.title}</h2>
        ${isPaused || model.fleet === null ? nothing : this.#asking.button(t.guards.pause, 'fleet:pause', () => this.#pauseQuestion())}
      </div>
      ${model.fleet !== null && isCalm ? html`<p class="calm">${t.guards.calm}</p>` : nothing}
      ${model.pauses.length === 0 ? nothing : html`<ul>${model.pauses.map((pause) => this.#pause(pause))}</ul>`}
      ${held.length === 0 ? nothing : html`<h3>${t.guards.heldText(held.length)}</h3><ul>${held.slice(0, 50).map((incident) => this.#incident(incident))}</ul>`}
      ${this.#others(held)}
      ${held.length > 50 ? html`<p class="quiet">+${this.words.number(held.length - 50)}</p>` : nothing}
      ${this.#asking.render()} ${this.liveRegion()}
    </section>`
  }

  // -------------------------------------------------------------------------------------------------------------- pauses

  #pause(pause: WirePause): TemplateResult {
    const { t } = this
    return html`<li class="entry" data-entry="pause">
      <div><strong>${this.#scope(pause.scope)}</strong> <span class="quiet">${this.#until(pause)}</span></div>
      ${pause.reason ? html`<div>${t.guards.reason}: ${this.name(pause.reason, 300)}</div>` : nothing}
      <div class="row">
        ${this.#asking.button(t.guards.resume, 'fleet:resume', () => ({
          title: t.guards.askResume,
          text: this.#scope(pause.scope),
          confirm: t.guards.resume,
          request: () => ({ action: 'fleet:resume', scope: pause.scope }),
        }))}
      </div>
    </li>`
  }

  #until({ until }: WirePause): TemplateResult | string {
    return until === null
      ? this.t.guards.forGood
      : html`<time datetime=${until}>${this.t.guards.until(this.words.dateTime(Date.parse(until)))}</time>`
  }

  #scope(scope: WirePause['scope']): TemplateResult | string {
    const { t, model } = this
    if (scope === 'all') return t.guards.pausedAll
    if ('server_id' in scope)
      return html`${t.guards.pausedServer}: ${this.name(model.serverById.get(scope.server_id)?.name ?? scope.server_id)}`
    if ('evacuation_id' in scope) return html`${t.guards.pausedEvacuation}: ${this.name(scope.evacuation_id)}`
    return html`${t.guards.pausedMigration}: ${this.name(scope.migration_id)}`
  }

  #pauseQuestion(): Question {
    const { t } = this
    return {
      title: t.guards.askPause,
      text: t.guards.askPauseText,
      confirm: t.guards.pause.replace('…', ''),
      fields: () => html`
        <label>${t.guards.reason}<input name="reason" maxlength="500" autocomplete="off" placeholder=${t.guards.reasonHint} /></label>
        ${lengths(t, pauseLengths, 0)}
      `,
      request: (fields) => {
        const reason = String(fields.get('reason') ?? '').trim()
        const forMs = Number(fields.get('for'))
        return { action: 'fleet:pause', scope: 'all', ...(reason !== '' && { reason }), ...(forMs > 0 && { forMs }) }
      },
    }
  }

  // ----------------------------------------------------------------------------------------------------------- incidents

  #incident(incident: WireIncident): TemplateResult {
    const { t } = this
    const { acknowledged_at: known, override_until: until } = incident
    const isOverridden = until !== null && Date.parse(until) > this.now()
    // Leave to act in spite of it is given against this guard alone.
    const isMass = incident.held_by.some(({ guard }) => guard === 'mass_failure')
    return html`<li class=${known === null ? 'entry' : 'entry known'} data-entry="incident" data-id=${incident.id}>
      <div>
        <strong>${this.name(incident.server_name)}</strong> <span class="quiet">${this.time(incident.opened_at)}</span>
        ${known === null ? nothing : html`<span class="quiet">· ${t.guards.acknowledged}</span>`}
        ${isOverridden ? html`<span class="quiet">· ${t.guards.overridden(this.words.clock(Date.parse(until)))}</span>` : nothing}
      </div>
      <ul class="why">
        ${incident.held_by.map(
          ({ guard, message, remedy }) => html`<li data-guard=${guard}>
            <strong>${this.#word(guard)}</strong>: ${this.name(message, 400)}
            <div class="quiet">${t.guards.remedy}: ${this.name(remedy, 400)}</div>
          </li>`,
        )}
      </ul>
      <div class="row">
        ${
          known === null
            ? this.#asking.button(t.guards.acknowledge, 'incidents:acknowledge', () =>
                askAcknowledge(t, incident, this.name(incident.server_name, 60)),
              )
            : nothing
        }
        ${isMass && !isOverridden ? this.#override(incident) : nothing}
      </div>
    </li>`
  }

  #override(incident: WireIncident): TemplateResult {
    const { t } = this
    return this.#asking.button(t.guards.override, 'incidents:override-guard', () =>
      askOverride(t, incident, this.name(incident.server_name, 60)),
    )
  }

  // -------------------------------------------------------------------------------------------------------------- guards

  /** Guards that hold no incident that is told above: of drains and of optional moves. */
  #others(held: readonly WireIncident[]): TemplateResult | typeof nothing {
    const told = new Set(held.flatMap(({ held_by }) => held_by.map(({ guard }) => guard)))
    const rest = this.model.guards.filter(({ guard }) => guard !== 'paused' && !told.has(guard))
    if (rest.length === 0) return nothing
    return html`<ul>${rest.map((guard) => this.#guard(guard))}</ul>`
  }

  #guard({ guard, audience, servers }: Guard): TemplateResult {
    const { t, model } = this
    const named = servers.slice(0, mostNamed)
    return html`<li class="entry" data-entry="guard" data-guard=${guard}>
      <strong>${this.#word(guard)}</strong>
      ${audience === undefined ? nothing : html`<div class="quiet">${this.name(audience)}</div>`}
      <div>
        ${t.guards.affected}: ${named.map((id, index) => html`${index === 0 ? nothing : ', '}${this.name(model.serverById.get(id)?.name ?? id)}`)}${
          servers.length > named.length ? html` +${this.words.number(servers.length - named.length)}` : nothing
        }
      </div>
    </li>`
  }

  /** A guard of a newer server has its own name only. */
  #word(guard: Guard['guard']): string {
    return this.t.guards.guard[guard] ?? guard
  }
}
