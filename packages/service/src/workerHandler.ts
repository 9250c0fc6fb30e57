import { dirname, join } from 'node:path'
import { commandHandler } from '@pintail/adapters/command'
import type { RegionHandler } from '@pintail/adapters/regions'
import { fileLedger, uapiDevice, type WireGuardDevice, wgDevice, wireguardHandler } from '@pintail/adapters/wireguard'
import type { Logger } from 'pino'
import type { WorkerValues } from './settings/worker.ts'
import type { CommandSection, WireguardSection, WireguardServer, WorkerSections } from './settings/workerSections.ts'

/** What gives and takes access on the servers, as the settings say. @throws PintailError `invalid_options` */
export function handlerOf(values: WorkerValues, { wireguard, command }: WorkerSections, bookPath: string, logger: Logger): RegionHandler {
  if (values.handler === 'command' && command) return programs(command)
  if (values.handler === 'wireguard' && wireguard) return peers(values, wireguard, bookPath, logger)
  throw new Error(`the handler ${values.handler} has no part in the file`)
}

function programs({ patterns = {}, exitCodes = {}, ...rest }: CommandSection): RegionHandler {
  const compiled = Object.fromEntries(Object.entries(patterns).map(([place, source]) => [place, new RegExp(source)]))
  const meanings = Object.fromEntries(Object.entries(exitCodes).map(([code, meaning]) => [Number(code), meaning]))
  return commandHandler({ ...rest, patterns: compiled, exitCodes: meanings })
}

function peers(values: WorkerValues, section: WireguardSection, bookPath: string, logger: Logger): RegionHandler {
  const { servers, dns, allowedIps, mtu, persistentKeepalive, ...rest } = section
  const of = (id: string): WireguardServer => servers[id] as WireguardServer
  const devices = Object.fromEntries(Object.entries(servers).map(([id, server]) => [id, deviceOf(server, values)]))
  return wireguardHandler({
    ...rest,
    devices,
    client: {
      endpointOf: (id) => of(id).endpoint,
      publicKeyOf: (id) => of(id).publicKey,
      ...(dns && { dns }),
      ...(allowedIps && { allowedIps }),
      ...(mtu !== undefined && { mtu }),
      ...(persistentKeepalive !== undefined && { persistentKeepalive }),
    },
    // Whose peer is whose outlives the process, beside what it has done.
    ledger: fileLedger({ path: join(dirname(bookPath), `peers-${encodeURIComponent(values.region)}.jsonl`) }),
    dryRun: values.wgDryRun,
    logger,
  })
}

function deviceOf(server: WireguardServer, { wgDevice: kind, wgInterface }: WorkerValues): WireGuardDevice {
  const name = server.interface ?? wgInterface
  if (server.socket !== undefined) return uapiDevice({ path: server.socket })
  return (server.device ?? kind) === 'wg' ? wgDevice({ interface: name }) : uapiDevice({ interface: name })
}
