import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { errorText, PintailError } from '../errors.ts'
import type { ProbeTarget } from '../ports.ts'
import { parseHost } from '../rows.ts'

/** Packets of one check begin at most this far apart, milliseconds: five take 0.8 s, not ping's four seconds. */
export const spacingMs = 200

/**
 * What every prober begins with: checks a target and resolves its host, once, so that every packet of a check goes to
 * one IPv4 or IPv6 address. A host is checked here again although rows are parsed before, because a prober is public and
 * may be called by anybody. Public for those who write probers of their own.
 *
 * Errors: `invalid_argument`, `invalid_host`, `unknown_host` (the name does not resolve), `prober_unavailable` (the
 * resolver itself failed), `aborted`.
 */
export async function addressOf(target: ProbeTarget, signal: AbortSignal): Promise<string> {
  const { host, packets, timeoutMs } = target
  if (!Number.isInteger(packets) || packets < 1 || packets > 100) {
    throw new PintailError('invalid_argument', `packets must be a whole number from 1 to 100, not ${packets}`)
  }
  if (!(timeoutMs > 0 && timeoutMs <= 60_000)) {
    throw new PintailError('invalid_argument', `timeoutMs must be above 0 and at most 60000, not ${timeoutMs}`)
  }
  if (signal.aborted) throw aborted(signal)
  const safe = parseHost(host)
  if (isIP(safe) !== 0) return safe
  try {
    return (await orAborted(lookup(safe), signal)).address
  } catch (cause) {
    if (cause instanceof PintailError) throw cause
    throw resolverError(safe, cause)
  }
}

function resolverError(host: string, cause: unknown): PintailError {
  const code = (cause as NodeJS.ErrnoException).code ?? ''
  if (/^(ENOTFOUND|ENODATA|EAI_AGAIN|EAI_FAIL|EAI_NONAME|EAI_NODATA)$/.test(code)) {
    const remedy = 'Check the name and the resolver of this machine, or give the IP address.'
    return new PintailError('unknown_host', `${host} does not resolve (${code})`, { cause, remedy })
  }
  return new PintailError('prober_unavailable', `the resolver failed: ${errorText(cause)}`, { cause })
}

export function aborted(signal: AbortSignal): PintailError {
  return new PintailError('aborted', 'the probe was aborted', { cause: signal.reason })
}

/** Settles with the promise, or at once with `aborted` when the signal fires. Leaves no listener behind. */
export async function orAborted<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  const gone = Promise.withResolvers<never>()
  const onAbort = () => gone.reject(aborted(signal))
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([promise, gone.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
