import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { PintailError } from '@pintail/core'
import { applicationId } from './schema.ts'

/** `new`: nothing is there; `ours`: made by Pintail; `unclear`: a database without a mark, which may be an empty one. */
export type Kind = 'new' | 'ours' | 'unclear'

/**
 * Looks at the header without opening the file as a database, because that alone would make files beside it and may
 * write into it. The mark of a file of ours is in its header before it ever has a write-ahead log.
 * @throws PintailError `invalid_options` for what is not ours, `unavailable` for what cannot be read
 */
export function inspect(path: string): Kind {
  const header = headerOf(path)
  if (header === null || header.length === 0) return 'new'
  if (header.length < 100 || header.toString('latin1', 0, 16) !== 'SQLite format 3\0') throw foreign(path, 'it is not a SQLite database')
  const mark = header.readUInt32BE(68)
  if (mark === applicationId) return 'ours'
  const isWal = header[18] === 2
  if (mark !== 0 || isWal) throw foreign(path, 'it is the database of another application')
  return 'unclear'
}

export function foreign(path: string, what: string): PintailError {
  return new PintailError('invalid_options', `${path}: ${what}; nothing was changed`, { remedy: 'Name another file.' })
}

/** Its first 100 bytes, fewer if it is shorter; null: there is no such file. */
function headerOf(path: string): Buffer | null {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    const remedy = 'Give the process the right to read and write it.'
    throw new PintailError('unavailable', `${path}: it cannot be read`, { cause: error, remedy })
  }
  try {
    if (!fstatSync(file).isFile()) throw foreign(path, 'it is not a file')
    const header = Buffer.alloc(100)
    return header.subarray(0, readSync(file, header, 0, 100, 0))
  } finally {
    closeSync(file)
  }
}
