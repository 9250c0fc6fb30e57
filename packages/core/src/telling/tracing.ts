import { channel } from 'node:diagnostics_channel'
import type { PintailEvent } from '../events.ts'
import type { CallContext, Clock, TracedCall } from '../ports.ts'

const events = channel('pintail.event')
// Named as node names the parts of a tracing channel, so that `tracingChannel('pintail.call')` subscribes to both.
const started = channel('tracing:pintail.call:start')
const ended = channel('tracing:pintail.call:asyncEnd')

/** Told to whoever listens in this process, without a hold on the engine. */
export function publish(event: PintailEvent): void {
  if (events.hasSubscribers) events.publish(event)
}

type About = Pick<TracedCall, 'port' | 'method' | 'evacuationId' | 'migrationId'> & Partial<Pick<TracedCall, 'move' | 'serverId'>>

/** The call, told before and after, with the trace context that a subscriber has given it. Costs nothing where nobody listens. */
export function traced<T>(
  clock: Clock,
  about: About,
  call: (ctx: CallContext) => PromiseLike<T> | T,
): (ctx: CallContext) => PromiseLike<T> | T {
  if (!started.hasSubscribers) return call
  return async (ctx) => {
    const message: TracedCall = { move: null, serverId: null, ...about, startedAt: clock.now(), endedAt: null, failure: null }
    const end = (failure: unknown): void => {
      if (message.endedAt !== null) return
      ctx.signal.removeEventListener('abort', onAbort)
      message.endedAt = clock.now()
      message.failure = failure
      ended.publish(message)
    }
    // A port may ignore its signal: whoever called it has given up by then.
    const onAbort = (): void => end(ctx.signal.reason)
    started.publish(message)
    ctx.signal.addEventListener('abort', onAbort, { once: true })
    const { traceparent, within = (run) => run() } = message
    try {
      const answer = await within(() => call(traceparent === undefined ? ctx : { ...ctx, traceparent }))
      end(null)
      return answer
    } catch (error) {
      end(error ?? new Error('a call failed with nothing'))
      throw error
    }
  }
}
