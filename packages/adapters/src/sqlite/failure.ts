import { errorText, isPintailError, PintailError } from '@pintail/core'

/** SQLite's primary result code, or null for what is no error of SQLite. */
function codeOf(error: unknown): number | null {
  const code = (error as { readonly errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : null
}

const busy = 5
const locked = 6
const readOnly = 8
const ioError = 10
const corrupt = 11
const full = 13
const cantOpen = 14
const notADatabase = 26

export const isBusy = (error: unknown): boolean => [busy, locked].includes(codeOf(error) ?? -1)

/** After these the file is closed, and opened and looked at anew with the next call. */
export const spoilsHandle = (error: unknown): boolean => [ioError, corrupt, cantOpen, notADatabase, readOnly].includes(codeOf(error) ?? -1)

/**
 * What a failure means to the engine. `unavailable`: nothing was written. `isCommit`: it came from COMMIT itself; a disk
 * that fails there may have taken it or not, and the same batch comes again.
 */
export function failure(error: unknown, path: string, isCommit = false): PintailError {
  if (isPintailError(error)) return error
  const say = (code: 'unavailable' | 'internal' | 'invalid_options', what: string, remedy: string) =>
    new PintailError(code, `${path}: ${what}`, { cause: error, remedy })
  switch (codeOf(error)) {
    case busy:
    case locked:
      return say('unavailable', 'locked by another process', 'Only Pintail may write this file: look who else has it open.')
    case full:
      return say('unavailable', 'the disk is full; nothing was written', 'Make room: Pintail goes on by itself.')
    case readOnly:
      return say('unavailable', 'it cannot be written', 'Give the process the right to write the file and its directory.')
    case cantOpen:
      return say('unavailable', 'it cannot be opened', 'Make the directory, and give the process the right to write there.')
    case corrupt:
      return say('unavailable', `it is damaged: ${errorText(error)}`, 'Nothing was changed. Restore a copy, or move it away to begin anew.')
    case notADatabase:
      return say('invalid_options', 'it is not a SQLite database; nothing was changed', 'Name another file.')
    case ioError:
      if (isCommit) return say('internal', `the disk failed at the end of a commit: ${errorText(error)}`, 'Check the disk.')
      return say('unavailable', `the disk failed: ${errorText(error)}`, 'Check the disk.')
    default:
      return say(isCommit ? 'internal' : 'unavailable', errorText(error), 'See the cause.')
  }
}
