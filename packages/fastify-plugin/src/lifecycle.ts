import { errorText, type Logger, type Pintail } from '@pintail/core'
import type { FastifyInstance } from 'fastify'

export interface Life {
  /** What `start()` failed with; null: it did not. */
  readonly failure: () => unknown
}

/** Fastify gives up booting when a hook takes 10 s, and start() of a foreign engine may hang. */
const startWaitMs = 5000
/** stop() has its own bound; this is for an engine that does not keep it. */
const stopGraceMs = 1000

interface Manner {
  readonly start: 'listen' | 'ready' | 'manual'
  readonly stops: boolean
  readonly stopTimeoutMs: number
  readonly logger: Logger
}

/** Starts and stops the engine with the app. Neither can harm the host: a failure is logged and shows in the health. */
export function attach(app: FastifyInstance, engine: Pintail, { start, stops, stopTimeoutMs, logger }: Manner): Life {
  let failure: unknown = null

  const begin = async (): Promise<void> => {
    // The host may have called start() itself.
    if (engine.health().state !== 'idle') return
    try {
      await engine.start()
    } catch (error) {
      failure = error ?? new Error('start() failed')
      logger.error({ err: error }, `pintail could not start, and nobody is watching the fleet: ${errorText(error)}`)
    }
  }
  if (start === 'listen') app.addHook('onListen', begin)
  if (start === 'ready') {
    app.addHook('onReady', async () => {
      if (!(await settles(begin(), startWaitMs))) logger.warn({}, `pintail has not started within ${startWaitMs} ms; the app goes on`)
    })
  }

  if (stops) {
    // onClose runs after the last request, and before the onClose hooks of what was registered earlier: a database
    // that the mover needs is still there.
    app.addHook('onClose', async () => {
      const stopped = (async () => engine.stop({ timeoutMs: stopTimeoutMs }))().catch((error) => {
        logger.error({ err: error }, `pintail did not stop well: ${errorText(error)}`)
      })
      if (await settles(stopped, stopTimeoutMs + stopGraceMs)) return
      logger.error({}, `pintail did not stop within ${stopTimeoutMs} ms; what was under way is settled by the next start`)
    })
  }
  return { failure: () => failure }
}

/** Whether it settles within this time. */
async function settles(work: Promise<void>, timeoutMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>()
  const timer = setTimeout(resolve, timeoutMs, false)
  try {
    return await Promise.race([work.then(() => true as const), late])
  } finally {
    clearTimeout(timer)
  }
}
