import type { WireMigration, WireServer } from '@pintail/core/wire'
import { html, nothing, svg, type TemplateResult } from 'lit'
import { serverState, stateOrder, stateSign, toneOfStatus } from '../base/states.ts'
import type { Language } from '../messages/index.ts'
import { isEnded } from '../session/model.ts'

/** More rows than this are shown in pages: 2,000 rows would hold up every key. */
const rowsPerPage = 25

export const signKey = (server: WireServer): TemplateResult =>
  html`<svg class="key" viewBox="-12 -12 24 24" aria-hidden="true">${stateSign(serverState(server), 10)}</svg>`

/** The worst first, and then by name. */
function inOrder(servers: readonly WireServer[]): readonly WireServer[] {
  const rank = new Map(servers.map((one) => [one, stateOrder.indexOf(serverState(one))]))
  return [...servers].sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0))
}

export function loadText({ load, reserved, capacity }: WireServer, words: Language): string {
  const { common, map } = words.messages
  if (load === null) return common.unknown
  const whole = load + reserved
  return capacity === null ? words.number(whole) : map.fullness(whole, capacity)
}

interface Rows {
  readonly servers: readonly WireServer[]
  readonly page: number
  readonly words: Language
  readonly name: (name: string) => TemplateResult
  readonly open: (server: WireServer, opener: HTMLElement) => void
  readonly turn: (page: number) => void
}

export function serverTable({ servers, page, words, name, open, turn }: Rows): TemplateResult {
  const t = words.messages
  const ordered = inOrder(servers)
  const pages = Math.max(1, Math.ceil(ordered.length / rowsPerPage))
  const at = Math.min(page, pages - 1)
  const rows = ordered.slice(at * rowsPerPage, (at + 1) * rowsPerPage)
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t.map.title}>
      <table part="table">
        <thead>
          <tr>
            <th scope="col">${t.map.server}</th>
            <th scope="col">${t.map.state}</th>
            <th scope="col">${t.map.region}</th>
            <th scope="col" class="figure">${t.map.load}</th>
            <th scope="col" class="figure">${t.map.rtt}</th>
            <th scope="col"><span class="unseen">${t.map.details}</span></th>
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (server) => html`<tr data-id=${server.server_id}>
              <th scope="row">${name(server.name)}</th>
              <td class="state">${signKey(server)}${t.serverState[serverState(server)]}</td>
              <td>${server.region === null ? html`<span class="quiet">${t.common.noRegion}</span>` : name(server.region)}</td>
              <td class="figure">${loadText(server, words)}</td>
              <td class="figure">${server.rtt_ms === null ? '–' : t.map.ms(Math.round(server.rtt_ms))}</td>
              <td>
                <button type="button" part="button" @click=${(event: Event) => open(server, event.currentTarget as HTMLElement)}>
                  ${t.map.details}<span class="unseen"> ${name(server.name)}</span>
                </button>
              </td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${
      pages === 1
        ? nothing
        : html`<div class="row">
            <button type="button" part="button" ?disabled=${at === 0} @click=${() => turn(at - 1)}>${t.map.previous}</button>
            <span>${t.map.page(at + 1, pages)}</span>
            <button type="button" part="button" ?disabled=${at === pages - 1} @click=${() => turn(at + 1)}>${t.map.next}</button>
          </div>`
    }`
}

/** The arrows as rows. */
export function arrowTable(migrations: readonly WireMigration[], words: Language, name: (name: string) => TemplateResult): TemplateResult {
  const t = words.messages
  if (migrations.length === 0) return html``
  const shown = migrations.slice(0, rowsPerPage)
  return html`<h3>${t.map.moves}</h3>
    <div class="scroll" tabindex="0" role="region" aria-label=${t.map.moves}>
      <table part="table">
        <thead>
          <tr>
            <th scope="col">${t.map.from}</th>
            <th scope="col">${t.map.to}</th>
            <th scope="col">${t.map.status}</th>
            <th scope="col" class="figure">${t.map.users}</th>
          </tr>
        </thead>
        <tbody>
          ${shown.map(
            (one) => html`<tr>
              <th scope="row">${name(one.from_server_name)}</th>
              <td>${name(one.to_server_name)}</td>
              <td>
                <svg class="key tone-${toneOfStatus[one.status]}" viewBox="-12 -12 24 24" aria-hidden="true">${svg`<circle r="6" class="dot"></circle>`}</svg
                >${t.status[one.status]}${isEnded(one) || one.progress === 0 ? nothing : ` (${words.number(one.progress)} %)`}
              </td>
              <td class="figure">${words.number(one.connection_count_at_start)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${migrations.length > shown.length ? html`<p class="quiet">+${words.number(migrations.length - shown.length)}</p>` : nothing}`
}
