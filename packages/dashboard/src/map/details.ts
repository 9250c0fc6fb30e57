import type { WireMigration, WireServer } from '@pintail/core/wire'
import { html, nothing, type TemplateResult } from 'lit'
import type { Asking } from '../base/asking.ts'
import { serverState } from '../base/states.ts'
import type { Language } from '../messages/index.ts'
import { isEnded } from '../session/model.ts'
import { loadText, signKey } from './table.ts'

interface Shown {
  readonly server: WireServer
  readonly migrations: readonly WireMigration[]
  readonly words: Language
  readonly asking: Asking
  readonly name: (name: string, most?: number) => TemplateResult
  readonly time: (iso: string | null) => TemplateResult | typeof nothing
  readonly close: () => void
}

/** Everything about one server, and what a person may do with it. */
export function serverDetails({ server, migrations, words, asking, name, time, close }: Shown): TemplateResult {
  const t = words.messages
  const touching = migrations.filter(
    (one) => !isEnded(one) && (one.from_server_id === server.server_id || one.to_server_id === server.server_id),
  )
  const row = (term: string, value: unknown): TemplateResult => html`<dt>${term}</dt><dd>${value}</dd>`
  return html`<section class="card details" part="details" aria-labelledby="details-title" @keydown=${(event: KeyboardEvent) => {
    if (event.key === 'Escape' && !event.defaultPrevented && !(event.target as Element).closest('dialog')) close()
  }}>
    <div class="row spread">
      <h3 id="details-title" tabindex="-1">${name(server.name, 60)}</h3>
      <button type="button" part="button" data-close @click=${close}>${t.common.close}</button>
    </div>
    <dl>
      ${row(t.map.state, html`${signKey(server)}<strong>${t.serverState[serverState(server)]}</strong> <span class="quiet">${time(server.verdict.since)}</span>`)}
      ${row(
        t.map.evidence,
        server.verdict.reasons.slice(0, 8).map(({ message }) => html`<div>${name(message, 200)}</div>`),
      )}
      ${server.audiences.slice(0, 20).map(({ audience, verdict }) => row(name(audience, 30) as unknown as string, t.verdict[verdict.verdict]))}
      ${row(t.map.region, server.region === null ? t.common.noRegion : name(server.region))}
      ${row(t.map.load, html`${loadText(server, words)}${server.reserved > 0 ? html` <span class="quiet">(${t.map.reserved(server.reserved)})</span>` : nothing}`)}
      ${row(t.map.rtt, server.rtt_ms === null ? t.common.unknown : t.map.ms(Math.round(server.rtt_ms)))}
      ${
        touching.length === 0
          ? nothing
          : row(
              t.map.moves,
              touching
                .slice(0, 20)
                .map((one) => html`<div>${name(one.from_server_name)} → ${name(one.to_server_name)}: ${t.status[one.status]}</div>`),
            )
      }
    </dl>
    <div class="row">
      ${
        server.cordoned
          ? asking.button(t.map.uncordon, 'servers:uncordon', () => ({
              title: t.map.askUncordon,
              text: name(server.name, 60),
              request: () => ({ action: 'servers:uncordon', serverId: server.server_id }),
            }))
          : asking.button(t.map.cordon, 'servers:cordon', () => ({
              title: t.map.askCordon,
              text: html`${name(server.name, 60)}. ${t.map.askCordonText}`,
              request: () => ({ action: 'servers:cordon', serverId: server.server_id }),
            }))
      }
      ${asking.button(t.map.drain, 'servers:drain', () => ({
        title: t.map.askDrain,
        text: html`${name(server.name, 60)}: ${loadText(server, words)}. ${t.map.askDrainText}`,
        confirm: t.map.drain.replace('…', ''),
        isDangerous: true,
        request: () => ({ action: 'servers:drain', serverId: server.server_id }),
      }))}
    </div>
  </section>`
}
