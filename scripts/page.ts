// Before npm start: makes the dashboard's page from its sources, so that a fresh clone shows it without a build. A few hundred
// milliseconds; says nothing unless it fails, and then the quickstart goes on without the page.

import { publicPackages } from './lib/packages.ts'
import { buildPage } from './lib/page.ts'

const dashboard = publicPackages().find(({ name }) => name === '@pintail/dashboard')
if (dashboard)
  await buildPage(dashboard).catch((error: unknown) => {
    console.error(`the dashboard's page could not be made: ${error instanceof Error ? error.message : String(error)}`)
  })
