export { type OpenTelemetryOptions, traceEvacuations } from './bridge.ts'
