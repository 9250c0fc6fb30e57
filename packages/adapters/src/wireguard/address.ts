import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { errorText, PintailError, type ProbeTarget, parseHost } from '@pintail/core'

/** Where the packets of one check go: the host is resolved once. */
export interface Address {
  readonly host: string
  readonly port: number
}

/**
 * Checks a target and resolves its host.
 * Errors: `invalid_argument`, `invalid_host`, `unknown_host` (the name does not resolve), `prober_unavailable` (the resolver itself failed).
 */
export async function addressOf(target: ProbeTarget, fallbackPort: number | undefined): Promise<Address> {
  const { packets, timeoutMs } = target
  if (!Number.isInteger(packets) || packets < 1 || packets > 100)
    throw new PintailError('invalid_argument', `packets must be a whole number from 1 to 100, not ${packets}`)
  if (!(timeoutMs > 0 && timeoutMs <= 60_000))
    throw new PintailError('invalid_argument', `timeoutMs must be above 0 and at most 60000, not ${timeoutMs}`)
  const port = target.port ?? fallbackPort
  if (!isPort(port)) {
    const what = port === undefined ? 'neither the target nor the options name a port' : `${port} is no port`
    const remedy = 'Give the server a port from 1 to 65535 in the registry, or call wireguardProber({ port }).'
    throw new PintailError('invalid_argument', `wireguard: ${what}`, { remedy })
  }
  const host = parseHost(target.host)
  if (isIP(host) !== 0) return { host, port }
  try {
    return { host: (await lookup(host)).address, port }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? ''
    if (!/^(ENOTFOUND|ENODATA|EAI_AGAIN|EAI_FAIL|EAI_NONAME|EAI_NODATA)$/.test(code))
      throw new PintailError('prober_unavailable', `the resolver failed: ${errorText(cause)}`, { cause })
    const remedy = 'Check the name and the resolver of this machine, or give the IP address.'
    throw new PintailError('unknown_host', `${host} does not resolve (${code})`, { cause, remedy })
  }
}

export const isPort = (port: unknown): port is number => Number.isInteger(port) && (port as number) >= 1 && (port as number) <= 65_535
