import { listenHost, number, orNone } from './kinds.ts'
import { setting } from './setting.ts'

/** Health and figures of a small process of which there are many: nobody listens unless it is wanted. */
export const smallHttp = {
  host: setting('PINTAIL_HOST', listenHost(), '127.0.0.1', 'address that /health and /metrics answer on'),
  port: setting(
    'PINTAIL_PORT',
    orNone(number({ unit: 'port', min: 0, max: 65_535, whole: true })),
    null,
    'port that /health and /metrics answer on; 0 takes a free one, none serves neither',
  ),
} as const
