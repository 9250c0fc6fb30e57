import { path, word } from './kinds.ts'
import { natsSettings } from './nats.ts'
import { setting } from './setting.ts'
import { settings } from './settings.ts'
import { smallHttp } from './smallHttp.ts'

/** Every setting of `pintail vantage`. */
export const vantageSettings = {
  natsUrl: setting('PINTAIL_NATS_URL', natsSettings.natsUrl.kind, [] as readonly string[], 'the NATS servers that samples go to'),
  natsCreds: natsSettings.natsCreds,
  natsUser: natsSettings.natsUser,
  natsPassword: natsSettings.natsPassword,
  natsPasswordFile: natsSettings.natsPasswordFile,
  natsCa: natsSettings.natsCa,
  natsPrefix: natsSettings.natsPrefix,
  vantage: setting(
    'PINTAIL_VANTAGE',
    word({
      pattern: /^[a-z0-9][\w.-]{0,99}$/i,
      accepts: 'name of a vantage',
      right: 'give a name of policy.detect.vantages: letters, digits, ., _ and -',
    }),
    '',
    'its name, as in policy.detect.vantages of the engine; needed',
  ),
  checkInterval: setting(settings.checkInterval.env, settings.checkInterval.kind, 5, settings.checkInterval.doc),
  pingCount: setting(settings.pingCount.env, settings.pingCount.kind, 1, settings.pingCount.doc),
  pingTimeout: settings.pingTimeout,
  prober: settings.prober,
  tcpPort: settings.tcpPort,
  canaries: settings.canaries,
  ...smallHttp,
  logLevel: settings.logLevel,
  logFormat: settings.logFormat,
  config: setting(
    'PINTAIL_CONFIG',
    path('path of a YAML or JSON file'),
    '',
    'a config file with these settings, and under `detect` what else the policy of the engine has there',
  ),
} as const
