/**
 * What a request asks to do, for `authorize`. Actions that end in `:read` change nothing.
 *
 * | action | requests under `routePrefix` |
 * |---|---|
 * | `servers:read` | `GET /servers` |
 * | `servers:cordon` | `POST /servers/:id/cordon`, `POST /servers/:id/uncordon` |
 * | `servers:drain` | `POST /servers/:id/drain` |
 * | `connections:move` | `POST /connections/:id/move` |
 * | `migrations:read` | `GET /migrations`, `GET /migrations/:id`, `GET /servers/:id/migrations`, `GET /servers/:id/migrations/active` |
 * | `migrations:create` | `POST /migrations` |
 * | `migrations:approve`, `…:schedule`, `…:cancel`, `…:retry` | `POST /migrations/:id/approve` and so on |
 * | `migrations:delete` | `DELETE /migrations/:id` |
 * | `evacuations:read` | `GET /evacuations`, `GET /evacuations/:id` |
 * | `evacuations:approve`, `evacuations:cancel` | `POST /evacuations/:id/approve` and so on |
 * | `incidents:read` | `GET /incidents` |
 * | `incidents:acknowledge`, `incidents:override-guard` | `POST /incidents/:id/acknowledge` and so on |
 * | `plan:read`, `stats:read`, `metrics:read` | `GET /plan`, `GET /stats`, `GET /metrics` |
 * | `decisions:read` | `GET /decisions/:id` |
 * | `policy:read`, `policy:update`, `policy:reset` | `GET`, `PATCH`, `DELETE /policy` |
 * | `fleet:pause`, `fleet:resume` | `POST /pause`, `POST /resume` |
 * | `events:read` | `GET /events`, `GET /ws` |
 * | `services:read` | `GET /health/services` |
 *
 * `GET /health` is never asked about: a load balancer has no account.
 */
export type PintailAction =
  | 'connections:move'
  | 'decisions:read'
  | 'evacuations:approve'
  | 'evacuations:cancel'
  | 'evacuations:read'
  | 'events:read'
  | 'fleet:pause'
  | 'fleet:resume'
  | 'incidents:acknowledge'
  | 'incidents:override-guard'
  | 'incidents:read'
  | 'metrics:read'
  | 'migrations:approve'
  | 'migrations:cancel'
  | 'migrations:create'
  | 'migrations:delete'
  | 'migrations:read'
  | 'migrations:retry'
  | 'migrations:schedule'
  | 'plan:read'
  | 'policy:read'
  | 'policy:reset'
  | 'policy:update'
  | 'servers:cordon'
  | 'servers:drain'
  | 'servers:read'
  | 'services:read'
  | 'stats:read'

type Endpoint = readonly [method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, action: PintailAction]

/**
 * Everything under the prefix but `GET /health`.
 * @internal
 */
export const endpoints: readonly Endpoint[] = [
  ['GET', '/servers', 'servers:read'],
  ['GET', '/servers/:id/migrations', 'migrations:read'],
  ['GET', '/servers/:id/migrations/active', 'migrations:read'],
  ['POST', '/servers/:id/cordon', 'servers:cordon'],
  ['POST', '/servers/:id/uncordon', 'servers:cordon'],
  ['POST', '/servers/:id/drain', 'servers:drain'],
  ['POST', '/connections/:id/move', 'connections:move'],
  ['GET', '/migrations', 'migrations:read'],
  ['POST', '/migrations', 'migrations:create'],
  ['GET', '/migrations/:id', 'migrations:read'],
  ['DELETE', '/migrations/:id', 'migrations:delete'],
  ['POST', '/migrations/:id/approve', 'migrations:approve'],
  ['POST', '/migrations/:id/schedule', 'migrations:schedule'],
  ['POST', '/migrations/:id/cancel', 'migrations:cancel'],
  ['POST', '/migrations/:id/retry', 'migrations:retry'],
  ['GET', '/evacuations', 'evacuations:read'],
  ['GET', '/evacuations/:id', 'evacuations:read'],
  ['POST', '/evacuations/:id/approve', 'evacuations:approve'],
  ['POST', '/evacuations/:id/cancel', 'evacuations:cancel'],
  ['GET', '/incidents', 'incidents:read'],
  ['POST', '/incidents/:id/acknowledge', 'incidents:acknowledge'],
  ['POST', '/incidents/:id/override-guard', 'incidents:override-guard'],
  ['GET', '/plan', 'plan:read'],
  ['GET', '/decisions/:id', 'decisions:read'],
  ['GET', '/stats', 'stats:read'],
  ['GET', '/metrics', 'metrics:read'],
  ['GET', '/policy', 'policy:read'],
  ['PATCH', '/policy', 'policy:update'],
  ['DELETE', '/policy', 'policy:reset'],
  ['POST', '/pause', 'fleet:pause'],
  ['POST', '/resume', 'fleet:resume'],
  ['GET', '/events', 'events:read'],
  ['GET', '/ws', 'events:read'],
  ['GET', '/health/services', 'services:read'],
]
