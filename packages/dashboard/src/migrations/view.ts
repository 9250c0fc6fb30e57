import type { WireEvacuation, WireMigration } from '@pintail/core/wire'
import { html, nothing, svg, type TemplateResult } from 'lit'
import { money, percent } from '../base/figures.ts'
import { link } from '../base/opening.ts'
import type { Tone } from '../base/states.ts'
import { shortened } from '../base/text.ts'
import type { Language, Messages } from '../messages/index.ts'
import type { Session } from '../session/session.ts'
import { type Mark, markOf, markOfEvacuation, momentOf, savingsOf, targetsOf, toneOfEvacuation, toneOfMigration } from './rows.ts'

/** What drawing a row takes of its element. */
export interface Drawing {
  readonly words: Language
  readonly host: EventTarget & { readonly active: Session | null }
  readonly name: (text: string) => TemplateResult
  readonly nameOf: (serverId: string) => string
  readonly time: (iso: string | null) => TemplateResult | typeof nothing
  readonly progress: ReadonlyMap<string, string>
}

const shapes: Readonly<Record<Mark, TemplateResult>> = {
  dot: svg`<circle class="full" cx="8" cy="8" r="4"></circle>`,
  ring: svg`<circle cx="8" cy="8" r="4.5"></circle>`,
  check: svg`<path d="M3 8.5 L6.5 12 L13 4.5"></path>`,
  cross: svg`<path d="M4 4 L12 12 M12 4 L4 12"></path>`,
  dash: svg`<path d="M3.5 8 L12.5 8"></path>`,
}

const sign = (mark: Mark, tone: Tone): TemplateResult =>
  html`<svg class="mark tone-${tone}" part="mark" data-mark=${mark} viewBox="0 0 16 16" aria-hidden="true">${shapes[mark]}</svg>`

/** `fra-1 → ams-2`, for eyes and ears. */
export const way = (from: TemplateResult, to: TemplateResult | string, { migrations }: Messages): TemplateResult =>
  html`<span class="way">${from} <span aria-hidden="true">→</span><span class="unseen"> ${migrations.to} </span> ${to}</span>`

/** What a server or an adapter has written: a text of theirs, in their language. */
export const theirs = (text: string, most = 300): TemplateResult => {
  const { text: shown, title } = shortened(text, most)
  return html`<bdi lang="en" title=${title ?? nothing}>${shown}</bdi>`
}

const bar = (progress: number, label: string, tone: Tone): TemplateResult =>
  html`<progress class="tone-${tone}" part="progress" max="100" value=${Math.min(100, Math.max(0, progress))} aria-label=${label}></progress>`

function savings(hour: number | null, month: number | null, { words }: Drawing): TemplateResult | typeof nothing {
  if (hour === null) return nothing
  const { migrations: m } = words.messages
  return html`<span data-fact="savings"
    >${m.savings} ${money(words, hour, 4)}/${m.hour}${month === null ? nothing : html` (${money(words, month, 2)}/${m.month})`}</span
  >`
}

const fact = (name: string, value: unknown): TemplateResult => html`<span data-fact=${name}>${value}</span>`

/** Who has moved, who has not, and why they may be elsewhere than one thinks. */
function users(one: WireMigration, { words }: Drawing): TemplateResult {
  const { migrations: m, common } = words.messages
  const { connection_count_at_start: all, connections_moved: moved, connections_failed: failed, connections_skipped: skipped } = one
  const has = one.status === 'suggested' || one.status === 'approved' || one.status === 'scheduled'
  return html`${fact('users', has && moved === 0 ? common.users(all) : m.moved(moved, common.users(all)))}
  ${failed > 0 ? fact('failed', m.failed(failed)) : nothing} ${skipped > 0 ? fact('skipped', m.skipped(skipped)) : nothing}`
}

const isRunning = ({ status }: WireMigration): boolean => status === 'preparing' || status === 'transferring' || status === 'completing'

export function migrationBody(one: WireMigration, drawing: Drawing): TemplateResult {
  const { words, name, time } = drawing
  const t = words.messages
  const m = t.migrations
  const tone = toneOfMigration(one)
  const moment = momentOf(one)
  const said = drawing.progress.get(one.id)
  const share = percent(words, one.progress / 100)
  return html`<div class="line">
      ${way(name(one.from_server_name), name(one.to_server_name), t)}
      <span class="status tone-${tone}" part="status">${t.status[one.status]}${isRunning(one) ? ` (${share})` : ''}</span>
      ${one.cancelled_why !== null && one.completed_at === null ? html`<span class="status tone-waiting">${m.cancelling}</span>` : nothing}
    </div>
    ${isRunning(one) ? bar(one.progress, m.progress, tone) : nothing}
    <div class="facts" part="facts">
      ${users(one, drawing)} ${fact('reason', t.reason[one.reason])} ${fact('by', m.by[one.triggered_by])}
      ${savings(one.savings_eur_hour, one.savings_eur_month, drawing)}
      ${fact('moment', html`${m[moment.word]} ${time(moment.at)}`)}
      ${one.expected_end_at !== null && isRunning(one) ? fact('ends', html`${m.ends} ${time(one.expected_end_at)}`) : nothing}
      ${one.not_before !== null ? fact('begins', html`${m.notBefore} ${time(one.not_before)}`) : nothing}
      ${one.retry_count > 0 ? fact('retries', m.retries(one.retry_count, one.max_retries)) : nothing}
      ${one.retry_of !== null ? fact('retry-of', m.retryOf) : nothing}
      ${link(drawing.host, 'decision', one.decision_id, m.why)}
    </div>
    ${said && isRunning(one) ? html`<p class="facts">${theirs(said)}</p>` : nothing} ${notesAndFaults(one, drawing)}`
}

function notesAndFaults(one: WireMigration, { words }: Drawing): TemplateResult {
  const { migrations: m } = words.messages
  const isOver = one.status === 'failed'
  return html`${one.notes ? html`<p class="facts">${theirs(one.notes)}</p>` : nothing}
  ${one.error_message ? html`<p class=${isOver ? 'error' : 'facts'}>${theirs(one.error_message)}</p>` : nothing}
  ${isOver && one.rollback_success !== null ? html`<p class=${one.rollback_success ? 'facts' : 'error'}>${one.rollback_success ? m.rolledBack : m.notRolledBack}</p>` : nothing}
  ${one.residue.length > 0 ? html`<p class="error">${m.residue(one.residue.length)}</p>` : nothing}
  ${one.warnings.slice(0, 3).map((warning) => html`<p class="warning">${theirs(warning)}</p>`)}`
}

export const migrationSign = (one: WireMigration): TemplateResult => sign(markOf(one.status), toneOfMigration(one))
export const evacuationSign = (one: WireEvacuation): TemplateResult => sign(markOfEvacuation(one), toneOfEvacuation(one))

/** Who leaves where, in one line. */
export function evacuationWay(one: WireEvacuation, migrations: readonly WireMigration[], drawing: Drawing): TemplateResult {
  const t = drawing.words.messages
  const [first, ...others] = one.from_server_ids
  const from = html`${first === undefined ? nothing : drawing.name(drawing.nameOf(first))}${others.length > 0 ? ` +${others.length}` : ''}`
  const targets = targetsOf(migrations)
  const [target] = targets
  if (!target) return html`<span class="way">${t.migrations.evacuation} ${from}</span>`
  return way(from, targets.length === 1 ? drawing.name(target.name) : t.migrations.severalTargets(targets.length), t)
}

export function evacuationFacts(one: WireEvacuation, migrations: readonly WireMigration[], drawing: Drawing): TemplateResult {
  const { words, time, host } = drawing
  const t = words.messages
  const m = t.migrations
  const all = t.common.users(one.connections)
  const saved = savingsOf(migrations)
  const isRunning = one.status === 'running'
  const failed = migrations.filter(({ status }) => status === 'failed').length
  return html`${isRunning ? bar(one.progress, m.progress, 'busy') : nothing}
    <div class="facts" part="facts">
      ${fact('users', one.status === 'suggested' ? all : m.moved(one.moved, all))}
      ${migrations.length > 0 ? fact('parts', t.common.migrations(migrations.length)) : nothing}
      ${failed > 0 ? html`<span class="tone-bad" data-fact="failed">${m.failed(failed)}</span>` : nothing}
      ${one.unplaced_total > 0 ? html`<span class="tone-waiting" data-fact="unplaced">${m.unplaced(one.unplaced_total)}</span>` : nothing}
      ${fact('reason', t.reason[one.reason])} ${fact('by', m.by[one.triggered_by])}
      ${saved ? savings(saved.hour, saved.month, drawing) : nothing}
      ${fact('moment', one.ended_at === null ? html`${m.created} ${time(one.created_at)}` : html`${one.status === 'cancelled' ? m.cancelledAt : m.completed} ${time(one.ended_at)}`)}
      ${one.expected_end_at !== null ? fact('ends', html`${m.ends} ${time(one.expected_end_at)}`) : nothing}
      ${link(host, 'decision', one.decision_id, m.why)}
      ${one.incident_id !== null ? link(host, 'incident', one.incident_id, m.incident) : nothing}
    </div>
    ${one.notes ? html`<p class="facts">${theirs(one.notes)}</p>` : nothing}`
}

export function evacuationStatus(one: WireEvacuation, { words }: Drawing): TemplateResult {
  const { migrations: m } = words.messages
  const share = one.status === 'running' ? ` (${percent(words, one.progress / 100)})` : ''
  return html`<span class="status tone-${toneOfEvacuation(one)}" part="status">${one.status === 'running' ? m.running : words.messages.status[one.status]}${share}</span>
    ${one.cancelled_why !== null && one.ended_at === null ? html`<span class="status tone-waiting">${m.cancelling}</span>` : nothing}`
}
