import type { WireEvacuation, WireMigration } from '@pintail/core/wire'
import { html, type TemplateResult } from 'lit'
import type { Question } from '../base/asking.ts'
import type { Messages } from '../messages/index.ts'
import { actionsOf, actionsOfEvacuation, type MigrationAction } from './rows.ts'
import { way } from './view.ts'

/** Of a record that has changed meanwhile: asked again only if it can still be done. */
export function askMigration(action: MigrationAction, seen: WireMigration, t: Messages, name: (text: string) => TemplateResult): Question {
  const { migrations: m, common } = t
  const { from_server_name: from, to_server_name: to, connection_count_at_start: users } = seen
  const texts = {
    approve: { title: m.askApprove, text: m.askApproveAllText(common.users(users), common.migrations(1)), confirm: m.approve },
    cancel: { title: m.askCancel, text: m.askCancelAllText, confirm: m.cancel },
    retry: { title: m.askRetry, text: m.askRetryText, confirm: m.retry },
  }[action]
  return {
    title: texts.title,
    text: html`${way(name(from), name(to), t)}<br />${texts.text}`,
    confirm: texts.confirm,
    isDangerous: action === 'cancel',
    request: () => ({ action: `migrations:${action}`, seen }),
    askAgain: (now) => (now && 'from_server_name' in now && actionsOf(now).includes(action) ? askMigration(action, now, t, name) : null),
  }
}

export function askEvacuation(
  action: 'approve' | 'cancel',
  seen: WireEvacuation,
  parts: number,
  t: Messages,
  nameOf: (serverId: string) => TemplateResult,
): Question {
  const { migrations: m, common } = t
  const isApproval = action === 'approve'
  const text = isApproval ? m.askApproveAllText(common.users(seen.connections), common.migrations(parts)) : m.askCancelAllText
  return {
    title: isApproval ? m.askApproveAll : m.askCancelAll,
    text: html`${seen.from_server_ids.slice(0, 5).map((id) => html`${nameOf(id)} `)}<br />${text}`,
    confirm: isApproval ? m.approve : m.cancel,
    isDangerous: !isApproval,
    request: () => ({ action: `evacuations:${action}`, seen }),
    askAgain: (now) =>
      now && 'from_server_ids' in now && actionsOfEvacuation(now).includes(action) ? askEvacuation(action, now, parts, t, nameOf) : null,
  }
}
