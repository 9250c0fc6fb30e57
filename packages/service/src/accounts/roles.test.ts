import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { highestRole, leastRoles, mayDo, roles } from './roles.ts'

test('the README says what each role may do, as it is', () => {
  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
  for (const role of roles) {
    const actions = Object.entries(leastRoles).flatMap(([action, least]) => (least === role ? [`\`${action}\``] : []))
    expect(readme).toContain(`| \`${role}\` | ${actions.join(', ')} |`)
  }
})

test('each role may do what those before it may; a viewer changes nothing, and sees no users', () => {
  for (const [action, least] of Object.entries(leastRoles) as [keyof typeof leastRoles, (typeof roles)[number]][])
    expect(roles.map((role) => mayDo(role, action))).toEqual(roles.map((_, index) => index >= roles.indexOf(least)))
  const viewers = Object.keys(leastRoles).filter((action) => mayDo('viewer', action as keyof typeof leastRoles))
  expect(viewers.every((action) => action.endsWith(':read'))).toBe(true)
})

test('who has no role may do nothing, and what is no action nobody may', () => {
  expect(mayDo(null, 'servers:read')).toBe(false)
  for (const action of ['servers:explode', 'constructor', '__proto__', '']) expect(mayDo('admin', action as never)).toBe(false)
  expect(highestRole(['ADMIN', 'root', null, { role: 'admin' }])).toBeNull()
  expect(highestRole(['viewer', 'operator', 'viewer'])).toBe('operator')
})
