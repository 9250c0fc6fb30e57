import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { TracerProvider } from '@opentelemetry/api'
import { trace } from '@opentelemetry/api'
import { PintailError, type PintailEvent, type TracedCall } from '@pintail/core'
import { Traces } from './traces.ts'

export interface OpenTelemetryOptions {
  /** Default: the global one of `@opentelemetry/api`. */
  readonly tracerProvider?: TracerProvider
  /**
   * Whether spans of calls say whose they are (`pintail.connection.id`) and what the error said. Default false: traces then hold
   * ids of servers and counts, and of an error its code alone.
   */
  readonly includeUsers?: boolean
  /** Most spans of one evacuation for its waves and calls, 0–100 000; those beyond it are counted. Default 2 000. */
  readonly mostSpans?: number
}

/**
 * Makes one trace of each evacuation, of all engines in this process, until it is disposed: detection, decision, each migration
 * with its phases and waves, and each call to mover, notifier and registry, which get the context along.
 * @throws PintailError `invalid_argument`
 */
export function traceEvacuations(options: OpenTelemetryOptions = {}): Disposable {
  const { tracerProvider = trace.getTracerProvider(), includeUsers = false, mostSpans = 2000 } = options
  if (!Number.isInteger(mostSpans) || mostSpans < 0 || mostSpans > 100_000)
    throw new PintailError('invalid_argument', `mostSpans must be a whole number from 0 to 100000, not ${mostSpans}`)
  const traces = new Traces(tracerProvider.getTracer('@pintail/core'), { includeUsers, mostSpans })
  const held = [
    listen('pintail.event', (event) => traces.heard(event as PintailEvent)),
    listen('tracing:pintail.call:start', (call) => traces.callStarted(call as TracedCall)),
    listen('tracing:pintail.call:asyncEnd', (call) => traces.callEnded(call as TracedCall)),
  ]
  return {
    [Symbol.dispose]() {
      for (const end of held.splice(0)) end()
      traces.end()
    },
  }
}

/** A subscriber that throws would be an uncaught exception of the host; a span is not worth that. */
function listen(channel: string, hear: (message: unknown) => void): () => void {
  const safely = (message: unknown): void => {
    try {
      hear(message)
    } catch {}
  }
  subscribe(channel, safely)
  return () => void unsubscribe(channel, safely)
}
