import { errorText } from '@pintail/core'
import type { Logger } from 'pino'

export interface Ending {
  readonly why: string
  /** The exit code. */
  readonly code: number
}

export interface Endings extends Disposable {
  /** Resolves with the first signal. */
  readonly asked: Promise<Ending>
}

const signals = { SIGTERM: 15, SIGINT: 2, SIGHUP: 1 } as const

/**
 * Listens to what ends a service. The first signal asks for an orderly end, the second does not wait for it. What nobody
 * has caught ends the process: whoever restarts it gets one whose state is known.
 */
export function endings(logger: Logger): Endings {
  const { promise: asked, resolve } = Promise.withResolvers<Ending>()
  let isAsked = false
  const onSignal = (name: NodeJS.Signals): void => {
    if (isAsked) {
      logger.warn({ signal: name }, `${name} again: ended at once; what was under way is looked after by the next start`)
      process.exit(128 + (signals[name as keyof typeof signals] ?? 0))
    }
    isAsked = true
    resolve({ why: name, code: 0 })
  }
  const onFault = (error: unknown, origin: string): void => {
    logger.fatal({ err: error, origin }, `a fault that nobody caught: ${errorText(error)}`)
    process.exit(1)
  }
  const names = Object.keys(signals) as (keyof typeof signals)[]
  for (const name of names) process.on(name, onSignal)
  process.on('uncaughtException', onFault)
  return {
    asked,
    [Symbol.dispose]() {
      for (const name of names) process.off(name, onSignal)
      process.off('uncaughtException', onFault)
    },
  }
}
