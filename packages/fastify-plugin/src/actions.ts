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
 * | `plan:read`, `stats:read`, `status:read`, `metrics:read` | `GET /plan`, `GET /stats`, `GET /status`, `GET /metrics` |
 * | `decisions:read` | `GET /decisions/:id` |
 * | `policy:read`, `policy:update`, `policy:reset` | `GET`, `PATCH`, `DELETE /policy` |
 * | `fleet:pause`, `fleet:resume` | `POST /pause`, `POST /resume` |
 * | `events:read` | `GET /events`, `GET /ws` |
 * | `services:read` | `GET /health/services` |
 * | `users:reveal` | asked beside the others where an answer may name users: who may not gets pseudonyms in their place |
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
  | 'status:read'
  | 'users:reveal'
