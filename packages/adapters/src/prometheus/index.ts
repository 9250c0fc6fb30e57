export { catalogue as prometheusCatalogue, type MetricSpec, type Open } from './catalogue.ts'
export {
  type PrometheusClient,
  type PrometheusMetrics,
  type PrometheusOptions,
  type PrometheusRegistry,
  prometheusMetrics,
} from './metrics.ts'
