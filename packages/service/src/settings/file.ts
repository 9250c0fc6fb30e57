import { readFileSync } from 'node:fs'
import { errorText } from '@pintail/core'
import { parseDocument } from 'yaml'

/** What a config file says, before anything in it has been looked at. */
export type ConfigFile = Readonly<Record<string, unknown>>

export type FileRead =
  | { readonly ok: true; readonly data: ConfigFile }
  | { readonly ok: false; readonly faults: readonly { readonly is: string; readonly right: string }[] }

const mostBytes = 1_048_576

const refuse = (is: string, right: string): FileRead => ({ ok: false, faults: [{ is, right }] })

/** Reads a YAML or JSON file (JSON is YAML). An empty file says nothing, and that is no fault. */
export function readConfigFile(path: string, most = mostBytes): FileRead {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return refuse('does not exist', 'check the path; it is taken from the working directory')
    if (code === 'EACCES') return refuse('may not be read', 'let the user that runs pintail read it')
    if (code === 'EISDIR') return refuse('is a folder', 'give the file in it')
    return refuse(`could not be read: ${errorText(error)}`, 'check the path')
  }
  if (text.length > most)
    return refuse(`has more than ${most === mostBytes ? 'a megabyte' : `${most / mostBytes} megabytes`}`, 'check the path')
  return text.length > mostBytes && text.trimStart().startsWith('{') ? parseJson(text) : parseConfig(text)
}

/** YAML's own reader takes JSON too, and tells keys that are there twice, but a large one takes long. What is not JSON after all may still be YAML. */
function parseJson(text: string): FileRead {
  try {
    return { ok: true, data: JSON.parse(text) as ConfigFile }
  } catch {
    return parseConfig(text)
  }
}

function parseConfig(text: string): FileRead {
  const document = parseDocument(text, { uniqueKeys: true })
  if (document.errors.length > 0)
    return {
      ok: false,
      faults: document.errors.map(({ message, linePos }) => {
        // The message goes on with an excerpt of the file, which may hold a secret.
        const what = (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '')
        const [at] = linePos ?? []
        return { is: `is no YAML${at ? ` in line ${at.line}, column ${at.col}` : ''}`, right: what }
      }),
    }
  try {
    const data: unknown = document.toJS({ maxAliasCount: 100 })
    if (data === null || data === undefined) return { ok: true, data: {} }
    if (typeof data === 'object' && !Array.isArray(data)) return { ok: true, data: data as ConfigFile }
    return refuse('has no settings', 'give one setting a line, such as `mode: observe`')
  } catch (error) {
    return refuse(`is no YAML: ${errorText(error)}`, 'write it without aliases')
  }
}
