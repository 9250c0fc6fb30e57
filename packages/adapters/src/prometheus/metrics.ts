import { type Metrics, PintailError } from '@pintail/core'
import { catalogue, type MetricSpec } from './catalogue.ts'

type Labels = Readonly<Record<string, string>>

interface Config {
  name: string
  help: string
  labelNames: string[]
  registers: never[]
  collect?: () => void
}

/** What is used of `prom-client` 15 or `@prometheus-io/client`: the module itself fits. */
export interface PrometheusClient {
  readonly Counter: new (config: Config) => { inc(labels: Labels, by: number): void }
  readonly Gauge: new (config: Config) => { set(labels: Labels, value: number): void; remove(labels: Labels): void }
  readonly Histogram: new (config: Config & { buckets: number[] }) => { observe(labels: Labels, value: number): void }
}

/** A registry of that client. */
export interface PrometheusRegistry {
  metrics(): Promise<string>
  readonly contentType: string
  getSingleMetric(name: string): unknown
}

export interface PrometheusOptions {
  /** `import * as client from 'prom-client'`, or the default import of `@prometheus-io/client`. */
  readonly client: PrometheusClient
  /** Where the figures are registered; never the client's global one by itself. One engine a registry. */
  readonly registry: PrometheusRegistry
  /** How many servers at most get series of their own, lowest ids first; 0–10 000. Default 0: figures of the fleet alone. */
  readonly perServer?: number
}

export interface PrometheusMetrics extends Metrics {
  collecting(sample: () => void): Disposable
  forget(name: string, labels: Labels): void
  readonly perServer: number
  /** What a scraper gets: all of the registry, the host's own figures included. */
  expose(): Promise<{ readonly contentType: string; readonly body: string }>
}

const mostServers = 10_000

/**
 * Figures for Prometheus, for the option `metrics`. Gauges are taken when they are read, at most once a second.
 * @throws PintailError `invalid_argument`: a registry that has Pintail's figures already, or a bound out of range
 */
export function prometheusMetrics({ client, registry, perServer = 0 }: PrometheusOptions): PrometheusMetrics {
  if (!Number.isInteger(perServer) || perServer < 0 || perServer > mostServers)
    throw new PintailError('invalid_argument', `perServer must be a whole number from 0 to ${mostServers}, not ${perServer}`)
  const names = Object.keys(catalogue)
  const taken = names.find((name) => registry.getSingleMetric(name) !== undefined)
  if (taken !== undefined)
    throw new PintailError('invalid_argument', `the registry has a metric ${taken} already`, {
      remedy: 'Give each engine a registry of its own, with a default label that tells them apart, and merge them for the scraper.',
    })
  const samplers = new Set<() => void>()
  const sampleAll = (): void => {
    for (const sample of [...samplers]) sample()
  }
  const figures = new Figures(client, registry, perServer > 0, sampleAll)
  return {
    perServer,
    count: (name, labels, by) => figures.counters.get(name)?.inc(labels, by),
    gauge: (name, labels, value) => figures.gauges.get(name)?.set(labels, value),
    observe: (name, labels, value) => figures.histograms.get(name)?.observe(labels, value),
    forget: (name, labels) => figures.gauges.get(name)?.remove(labels),
    collecting(sample) {
      samplers.add(sample)
      return { [Symbol.dispose]: () => void samplers.delete(sample) }
    },
    expose: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  }
}

class Figures {
  readonly counters = new Map<string, InstanceType<PrometheusClient['Counter']>>()
  readonly gauges = new Map<string, InstanceType<PrometheusClient['Gauge']>>()
  readonly histograms = new Map<string, InstanceType<PrometheusClient['Histogram']>>()

  constructor(client: PrometheusClient, registry: PrometheusRegistry, withServers: boolean, sampleAll: () => void) {
    // The first of them is read first, and by then every gauge must have its value.
    let collect: { collect: () => void } | null = { collect: sampleAll }
    for (const [name, spec] of Object.entries<MetricSpec>(catalogue)) {
      if (spec.perServer && !withServers) continue
      const config = { name, help: spec.help, labelNames: Object.keys(spec.labels), registers: [registry as never], ...collect }
      collect = null
      if (spec.type === 'counter') this.counters.set(name, new client.Counter(config))
      else if (spec.type === 'gauge') this.gauges.set(name, new client.Gauge(config))
      else this.histograms.set(name, new client.Histogram({ ...config, buckets: [...(spec.buckets ?? [])] }))
      if (spec.zero) this.#zero(name, spec)
    }
  }

  /** A series that appears with its first event has no rise that a rate could see. */
  #zero(name: string, { labels }: MetricSpec): void {
    let series: Labels[] = [{}]
    for (const [label, values] of Object.entries(labels)) {
      if ('open' in values) return
      series = series.flatMap((one) => values.map((value) => ({ ...one, [label]: value })))
    }
    for (const one of series) {
      this.counters.get(name)?.inc(one, 0)
      this.gauges.get(name)?.set(one, 0)
    }
  }
}
