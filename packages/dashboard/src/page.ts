import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** One file of the page. */
export interface PageFile {
  /** Relative to the page: `` is the page itself. */
  readonly path: string
  readonly type: string
  readonly etag: string
  readonly body: Buffer
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

// The same folder from `dist/page.js` and from `src/page.ts`.
const folder = fileURLToPath(new URL('../dist/page/', import.meta.url))

/**
 * The files of the ready-made page, for whoever serves it. All URLs in them are relative.
 * @throws Error if the package was not built
 */
export async function pageFiles(): Promise<readonly PageFile[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new Error(`the page of @pintail/dashboard is not built: there is no ${folder}; in a clone, npm run build makes it`, { cause })
  })
  const known = names.filter((name) => Object.hasOwn(types, ending(name))).sort()
  return Promise.all(
    known.map(async (name) => {
      const body = await readFile(join(folder, name))
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
      return { path: name === 'index.html' ? '' : name, type: types[ending(name)] ?? '', etag, body }
    }),
  )
}

const ending = (name: string): string => name.slice(name.lastIndexOf('.') + 1)
