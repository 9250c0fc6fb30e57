import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Package } from '../lib/packages.ts'
import type { Finding } from '../lib/steps.ts'

/** What a browser has to load for the whole page, lit, d3-force and the client included, in bytes after gzip. */
const limit = 60_000

export const judgeDashboardSize = (bytes: number): Finding =>
  bytes <= limit
    ? { ok: true, note: `${bytes} of ${limit} bytes, gzipped, all elements and what they import, in the longest language` }
    : { ok: false, problem: `${bytes} bytes, gzipped; at most ${limit}`, remedy: 'leave out what few need' }

const languages = ['en', 'ru']

/** Every file of the built page, with the texts of the longest language: a browser loads one. */
export function checkDashboardSize({ dir }: Package): Finding {
  const page = join(dir, 'dist', 'page')
  const size = (name: string): number => gzipSync(readFileSync(join(page, name)), { level: 9 }).length
  const texts = languages.map((code) => `${code}.js`)
  // Types and licences lie beside the scripts: no browser loads them.
  const others = readdirSync(page).filter((name) => !texts.includes(name) && !/\.(d\.ts|txt)$/.test(name))
  return judgeDashboardSize(others.reduce((sum, name) => sum + size(name), 0) + Math.max(...texts.map(size)))
}
