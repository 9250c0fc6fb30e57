import { errorText, isPintailError, PintailError } from '@pintail/core'

/** Numbers of JetStream's own errors, as a server of 2.9 gives them. */
const notEnabled = [10039, 10076]
const full = [10047, 10077, 10023]
const tooLarge = [10054]
const notFound = [10014, 10059]
const misfit = [10025, 10052, 10058, 10065, 10100]

/**
 * What the client of NATS threw, in our words. `unavailable`: no broker, no answer, a full stream, or one that is not there;
 * `unsupported`: a broker without JetStream; `invalid_options`: what is there does not fit; `rejected`: no permission.
 */
export function natsFailure(thrown: unknown, what: string): PintailError {
  if (isPintailError(thrown)) return thrown
  // A request that fails has the reason underneath.
  const { name: outer, cause } = (thrown ?? {}) as { readonly name?: string; readonly cause?: unknown }
  const error = outer === 'RequestError' && cause instanceof Error ? cause : thrown
  const { name = '', code } = (error ?? {}) as { readonly name?: string; readonly code?: unknown }
  const number = typeof code === 'number' ? code : 0
  const made = (ours: ConstructorParameters<typeof PintailError>[0], why: string, remedy: string): PintailError =>
    new PintailError(ours, `${what}: ${why}`, { cause: error, remedy })
  const text = errorText(error)
  if (name === 'PermissionViolationError' || name === 'AuthorizationError')
    return made(
      'rejected',
      'the broker does not permit it',
      'Give the user of this connection the permissions that natsPermissions() lists.',
    )
  if (notEnabled.includes(number)) return made('unsupported', text, 'Enable JetStream: `jetstream { store_dir: … }` in nats-server.conf.')
  if (full.includes(number))
    return made(
      'unavailable',
      `the stream is full (${text})`,
      'Look why its workers do not empty it, or give it more room with setUpNats().',
    )
  if (tooLarge.includes(number)) return made('invalid_argument', text, 'Send less in one message.')
  if (notFound.includes(number)) return made('unavailable', text, 'Call setUpNats() once, with a user who may make streams.')
  if (misfit.includes(number))
    return made('invalid_options', text, 'Look at what is there with `nats stream info`, and use another prefix if it is somebody else’s.')
  if (name === 'InvalidArgumentError' && text.includes('max_payload'))
    return made('invalid_argument', text, 'Send less in one message, or raise max_payload of the broker.')
  if (name === 'JetStreamNotEnabled')
    return made(
      'unavailable',
      'no stream takes this subject',
      'Call setUpNats() once; without JetStream (`jetstream { … }` in nats-server.conf) it cannot work.',
    )
  return made('unavailable', text, 'Look whether the broker runs, and whether its cluster has a leader.')
}

/** The same where JetStream itself was asked: if nobody answers, it is not there. */
export const apiFailure = (error: unknown, what: string): PintailError =>
  (error as { readonly name?: string } | null)?.name === 'JetStreamNotEnabled'
    ? natsFailure({ code: notEnabled[0], message: 'JetStream is not enabled' }, what)
    : natsFailure(error, what)

/** JetStream's own number for it. */
export const isMissing = (error: unknown): 'stream' | 'consumer' | null => {
  const { code } = error as { readonly code?: unknown }
  return code === 10059 ? 'stream' : code === 10014 ? 'consumer' : null
}
