import { PintailSession } from './base/provider.ts'
import { PintailDashboard } from './dashboard/dashboard.ts'
import { PintailGuards } from './guards/guards.ts'
import { PintailIncident } from './incident/incident.ts'
import { PintailMap } from './map/map.ts'
import { PintailMigrations } from './migrations/migrations.ts'
import { PintailPlan } from './plan/plan.ts'
import { defineOnce } from './register.ts'
import { PintailWhy } from './why/why.ts'

/**
 * Registers every element once. Who comes second, also in another version, changes nothing: `customElements.get(tag).version` says
 * which one won.
 */
export function defineAll(): void {
  defineOnce('pintail-session', PintailSession)
  defineOnce('pintail-map', PintailMap)
  defineOnce('pintail-guards', PintailGuards)
  defineOnce('pintail-dashboard', PintailDashboard)
  defineOnce('pintail-migrations', PintailMigrations)
  defineOnce('pintail-incident', PintailIncident)
  defineOnce('pintail-why', PintailWhy)
  defineOnce('pintail-plan', PintailPlan)
}

declare global {
  interface HTMLElementTagNameMap {
    'pintail-session': PintailSession
    'pintail-map': PintailMap
    'pintail-guards': PintailGuards
    'pintail-dashboard': PintailDashboard
    'pintail-migrations': PintailMigrations
    'pintail-incident': PintailIncident
    'pintail-why': PintailWhy
    'pintail-plan': PintailPlan
  }
}
