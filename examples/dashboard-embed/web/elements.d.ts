import type { PintailIncident, PintailMigrations, PintailPlan, PintailSession, PintailWhy } from '@pintail/dashboard'
import type { DetailedHTMLProps, HTMLAttributes } from 'react'

/** An element of Pintail as React writes it: its properties, and its events as `on` and their name. */
type Element<T, K extends keyof T = never> = DetailedHTMLProps<HTMLAttributes<T>, T> & { readonly [P in K]?: T[P] }

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'pintail-session': Element<PintailSession, 'url' | 'token'> & { readonly 'onpintail-unauthorized'?: (event: Event) => void }
      'pintail-migrations': Element<PintailMigrations>
      'pintail-incident': Element<PintailIncident> & { readonly 'incident-id'?: string }
      'pintail-why': Element<PintailWhy>
      'pintail-plan': Element<PintailPlan>
    }
  }
}
