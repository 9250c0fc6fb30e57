import type { Logger } from '@pintail/core'

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly data: object
}

/** Keeps every line. */
export function recordingLogger(lines: LogLine[]): Logger {
  const at =
    (level: string) =>
    (data: object, message: string): void =>
      void lines.push({ level, message, data })
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
