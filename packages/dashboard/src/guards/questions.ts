import type { WireIncident } from '@pintail/core/wire'
import { html, type TemplateResult } from 'lit'
import type { Question } from '../base/asking.ts'
import type { Messages } from '../messages/index.ts'

const minuteMs = 60_000
const overrideLengths = [5 * minuteMs, 15 * minuteMs, 60 * minuteMs, 4 * 60 * minuteMs] as const

/** For how long; 0: until somebody ends it. */
export function lengths(t: Messages, offered: readonly number[], chosen: number): TemplateResult {
  const word = (ms: number): string =>
    ms === 0 ? t.guards.never : ms % (60 * minuteMs) === 0 ? t.guards.hours(ms / 60 / minuteMs) : t.guards.minutes(ms / minuteMs)
  return html`<label
    >${t.guards.expires}<select name="for">
      ${offered.map((ms) => html`<option value=${ms} ?selected=${ms === chosen}>${word(ms)}</option>`)}
    </select></label
  >`
}

export const askAcknowledge = (t: Messages, { id }: WireIncident, name: TemplateResult): Question => ({
  title: t.guards.askAcknowledge,
  text: html`${name}. ${t.guards.askAcknowledgeText}`,
  confirm: t.guards.acknowledge.replace('…', ''),
  request: () => ({ action: 'incidents:acknowledge', incidentId: id }),
})

export const askOverride = (t: Messages, { id }: WireIncident, name: TemplateResult): Question => ({
  title: t.guards.askOverride,
  text: html`${name}. ${t.guards.askOverrideText}`,
  confirm: t.guards.override.replace('…', ''),
  isDangerous: true,
  fields: () => lengths(t, overrideLengths, 15 * minuteMs),
  request: (fields) => ({ action: 'incidents:override-guard', incidentId: id, forMs: Number(fields.get('for')) }),
})
