import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type CallContext, errorText, type LogEntry, type LogSink, PintailError } from '@pintail/core'

export interface JsonlLogOptions {
  /**
   * When a write resolves: once its line is on the `disk` (fdatasync; survives a power cut), or once the `system` has
   * it (survives a crash of the process alone). Default `disk`.
   */
  readonly flush?: 'disk' | 'system'
  /** Permissions of a file that is made here; the umask may take more away. Default 0o600: the lines name users. */
  readonly mode?: number
}

export interface JsonlLog extends LogSink, AsyncDisposable {
  readonly path: string
  write(entry: LogEntry, ctx: CallContext): Promise<void>
  /** Waits for what is being written, and closes the file. Later writes reject with `stopped`. */
  close(): Promise<void>
}

/** Bytes that are written at once at most; what is longer goes alone. */
const batchBytes = 1 << 20

interface Waiting {
  readonly line: Buffer
  readonly settle: (error?: unknown) => void
}

/**
 * The audit trail as a file: one line of JSON an entry, appended in the order of the writes.
 *
 * At least once: a resolved write is kept as `flush` says; a rejected one may be there too, and is written again with
 * the same `id`. A line that is no JSON is the torn end of a crash or of a full disk; its entry follows, whole.
 * Rotation needs no signal: before each write the path is looked at, and a file that was renamed, removed or replaced
 * is opened anew. One process writes a file; it is made with the first write, its directory is not.
 * @throws (each write) PintailError `unavailable` with what to do, `stopped` after `close()`
 */
export function jsonlLog(path: string, { flush = 'disk', mode = 0o600 }: JsonlLogOptions = {}): JsonlLog {
  let waiting: Waiting[] = []
  let working: Promise<void> | null = null
  let closed = false
  let file: FileHandle | null = null
  // The last line may be torn: by a crash before this process, or by a write of ours that failed half-way.
  let torn = true

  async function letGo(): Promise<void> {
    const old = file
    file = null
    torn = true
    await old?.close().catch(() => {})
  }

  /** The file that the path names now. */
  async function current(): Promise<FileHandle> {
    if (file) {
      const [ours, named] = await Promise.all([file.stat(), stat(path).catch(absent)])
      if (named?.ino === ours.ino && named.dev === ours.dev) return file
      await letGo()
    }
    file = await open(path, 'a+', mode)
    return file
  }

  /** All lines or a throw; fewer bytes than asked for are what a full disk gives before its error. */
  async function append(lines: readonly Buffer[]): Promise<void> {
    const to = await current()
    const bytes = Buffer.concat(torn && (await endsTorn(to)) ? [Buffer.from('\n'), ...lines] : lines)
    torn = true
    for (let at = 0; at < bytes.length; ) at += (await to.write(bytes, at)).bytesWritten
    if (flush === 'disk') await to.datasync().catch(unsyncable)
    torn = false
  }

  /** What waits, up to a batch; at least one. */
  function take(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const { line } of waiting) {
      bytes += line.length
      if (count > 0 && bytes > batchBytes) break
      count++
    }
    return waiting.splice(0, count)
  }

  /** Writes that overlap are written one after the other; those that wait go together. */
  async function work(): Promise<void> {
    while (waiting.length > 0) {
      const batch = take()
      const error = await append(batch.map(({ line }) => line)).then(
        () => undefined,
        (cause) => letGo().then(() => unavailable(path, cause)),
      )
      for (const { settle } of batch) settle(error)
    }
    // In the same turn as the last look at what waits: a write between the two would wait for ever.
    working = null
  }

  const log: JsonlLog = {
    path,
    write: (entry, { signal }) =>
      new Promise<void>((resolve, reject) => {
        if (closed) throw new PintailError('stopped', `the log ${path} is closed`)
        signal.throwIfAborted()
        const giveUp = (): void => {
          waiting = waiting.filter((other) => other !== item)
          // If its bytes are on their way they arrive, and once more with the next try: at least once.
          item.settle(signal.reason)
        }
        const item: Waiting = {
          line: Buffer.from(`${JSON.stringify(entry)}\n`),
          settle: (error) => {
            signal.removeEventListener('abort', giveUp)
            if (error === undefined) resolve()
            else reject(error)
          },
        }
        signal.addEventListener('abort', giveUp, { once: true })
        waiting.push(item)
        working ??= work()
      }),
    async close() {
      closed = true
      await working
      await letGo()
    },
    [Symbol.asyncDispose]: () => log.close(),
  }
  return log
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code

function absent(error: unknown): null {
  if (codeOf(error) === 'ENOENT') return null
  throw error
}

/** A pipe or a terminal has no disk to be flushed to. */
function unsyncable(error: unknown): void {
  if (codeOf(error) !== 'EINVAL') throw error
}

async function endsTorn(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat()
  if (size === 0) return false
  const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return bytesRead === 1 && buffer[0] !== 0x0a
}

function unavailable(path: string, cause: unknown): PintailError {
  const remedies: Readonly<Record<string, string>> = {
    ENOENT: `Make the directory ${dirname(path)}.`,
    ENOTDIR: `${dirname(path)} must be a directory.`,
    EISDIR: 'Give the path of a file; this is a directory.',
    EACCES: `Let the user of this process write to ${path} and search ${dirname(path)}.`,
    EPERM: `Let the user of this process append to ${path}.`,
    EROFS: 'Give a path on a file system that may be written to.',
    ENOSPC: `Free space on the file system of ${path}; what waits is written then.`,
    EDQUOT: `Free space within the quota of this user on the file system of ${path}; what waits is written then.`,
    EMFILE: 'Raise the limit of open files of this process (ulimit -n).',
    ENFILE: 'Raise the limit of open files of this system.',
  }
  const remedy = remedies[codeOf(cause) ?? ''] ?? `Check ${path} and its file system.`
  return new PintailError('unavailable', `the log ${path} cannot be written: ${errorText(cause)}`, { cause, remedy })
}
