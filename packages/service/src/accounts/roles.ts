import type { PintailAction } from '@pintail/fastify-plugin'

/** From the least to the most: each role may do what those before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

/** The least role that may do each action. Every action of the plugin has one: a new one without is a type error here. */
export const leastRoles: Readonly<Record<PintailAction, Role>> = {
  'connections:move': 'operator',
  'decisions:read': 'viewer',
  'evacuations:approve': 'operator',
  'evacuations:cancel': 'operator',
  'evacuations:read': 'viewer',
  'events:read': 'viewer',
  'fleet:pause': 'operator',
  'fleet:resume': 'operator',
  'incidents:acknowledge': 'operator',
  // The mass-failure guard is the last line before a mistake of the prober becomes everybody's.
  'incidents:override-guard': 'admin',
  'incidents:read': 'viewer',
  'metrics:read': 'viewer',
  'migrations:approve': 'operator',
  'migrations:cancel': 'operator',
  'migrations:create': 'operator',
  // What is deleted can be asked about no more.
  'migrations:delete': 'admin',
  'migrations:read': 'viewer',
  'migrations:retry': 'operator',
  'migrations:schedule': 'operator',
  'plan:read': 'viewer',
  'policy:read': 'viewer',
  'policy:reset': 'admin',
  'policy:update': 'admin',
  'servers:cordon': 'operator',
  'servers:drain': 'operator',
  'servers:read': 'viewer',
  'services:read': 'viewer',
  'stats:read': 'viewer',
  'status:read': 'viewer',
  // A viewer sees pseudonyms.
  'users:reveal': 'operator',
}

export const allActions = Object.keys(leastRoles) as PintailAction[]

/** @param role null: an account without a role may do nothing */
export function mayDo(role: Role | null, action: PintailAction): boolean {
  // What this table does not know, an untyped caller's word, nobody may.
  const least = Object.hasOwn(leastRoles, action) ? leastRoles[action] : null
  return role !== null && least !== null && roles.indexOf(role) >= roles.indexOf(least)
}

/** The highest of these words that is a role; null: none is. */
export function highestRole(words: readonly unknown[]): Role | null {
  return roles.findLast((role) => words.includes(role)) ?? null
}
