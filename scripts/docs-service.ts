// npm run docs:service: writes the table of settings into the service's README.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withSettings } from './docs/serviceSettings.ts'
import { root } from './lib/packages.ts'

const path = join(root, 'packages', 'service', 'README.md')
writeFileSync(path, withSettings(readFileSync(path, 'utf8')))
