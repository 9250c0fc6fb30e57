import fastifyRateLimit from '@fastify/rate-limit'
import type { PintailAction } from '@pintail/fastify-plugin'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Account, accountLabel } from './account.ts'
import type { Accounts } from './accounts.ts'
import type { Attempt, Audit } from './audit.ts'
import { Refusal } from './refusal.ts'
import { allActions, mayDo, type Role } from './roles.ts'
import { Sessions } from './sessions.ts'

interface GateOptions {
  readonly accounts: Accounts
  readonly audit: Audit
  /**
   * Refused attempts of one address in a minute, after which it is told to wait; good credentials are never in their way.
   * Default 60.
   */
  readonly refusedPerMinute?: number
}

/** `GET /api/account`. */
interface AccountView {
  readonly kind: Account['kind']
  readonly name: string
  readonly role: Role | null
  readonly expires_at: string | null
  readonly actions: readonly PintailAction[]
}

/** Lets those in who may, and tells of the others. */
export class Gate {
  readonly mode: Accounts['mode']
  readonly #accounts: Accounts
  readonly #audit: Audit
  readonly #sessions: Sessions
  readonly #entered = new WeakMap<FastifyRequest, Account>()
  /** What a request may do, of those that change something. */
  readonly #acting = new WeakMap<FastifyRequest, PintailAction>()
  readonly #isOverdone: (request: FastifyRequest) => Promise<boolean>

  private constructor({ accounts, audit }: GateOptions, app: FastifyInstance, isOverdone: (request: FastifyRequest) => Promise<boolean>) {
    this.mode = accounts.mode
    this.#accounts = accounts
    this.#audit = audit
    this.#isOverdone = isOverdone
    this.#sessions = new Sessions(() => accounts.judge())
    app.addHook('onResponse', async (request, reply) => {
      const action = this.#acting.get(request)
      if (action) audit.allowed(this.#attempt(request, 'allowed', this.#who(request), action), reply.statusCode)
    })
    app.addHook('onClose', async () => {
      this.#sessions.close()
      audit.flush()
    })
  }

  /** Before any route of the app: rate limits are for those that come after it. */
  static async of(app: FastifyInstance, options: GateOptions): Promise<Gate> {
    let gate: Gate | null = null
    await app.register(fastifyRateLimit, {
      // Routes that say how much they take.
      global: false,
      // By account, so that all who are behind one proxy do not stand in each other's way.
      keyGenerator: (request) => (gate ? gate.#who(request) : null) ?? request.ip,
      errorResponseBuilder: (_request, { ttl }) =>
        new Refusal('too_many_requests', { detail: 'Too many requests in a minute.', remedy: `Wait ${Math.ceil(ttl / 1000)} s.` }),
    })
    const limit = app.createRateLimit({ max: options.refusedPerMinute ?? 60, timeWindow: 60_000, keyGenerator: ({ ip }) => ip })
    gate = new Gate(options, app, async (request) => {
      const found = await limit(request)
      return !found.isAllowed && found.isExceeded
    })
    return gate
  }

  /** Whoever asks is somebody. @throws Refusal */
  async enter(request: FastifyRequest): Promise<Account> {
    try {
      const account = await this.#accounts.authenticate(request)
      this.#entered.set(request, account)
      return account
    } catch (error) {
      throw error instanceof Refusal ? await this.#refused(request, error) : error
    }
  }

  /** Whoever asks is somebody who may do this. @throws Refusal */
  async demand(request: FastifyRequest, action: PintailAction): Promise<void> {
    const { role } = await this.enter(request)
    if (mayDo(role, action)) return
    const who = this.#who(request)
    throw await this.#refused(request, new Refusal('forbidden', { detail: `Your role does not allow ${action}.` }, { who }), action)
  }

  /** Who has entered, as he is told himself. */
  describe(request: FastifyRequest): AccountView | null {
    const account = this.#entered.get(request)
    if (!account) return null
    const { kind, name, role, expiresAt } = account
    const actions = allActions.filter((action) => mayDo(role, action))
    return { kind, name, role, expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(), actions }
  }

  /** For the plugin: whether the role of who has entered allows this. */
  readonly authorize = (request: FastifyRequest, action: PintailAction): boolean => {
    const may = mayDo(this.#entered.get(request)?.role ?? null, action)
    // Nobody asks to see users: who may not is shown pseudonyms, and is not refused.
    if (action === 'users:reveal') return may
    if (!may) this.#audit.refused(this.#attempt(request, 'forbidden', this.#who(request), action))
    else if (!action.endsWith(':read')) this.#acting.set(request, action)
    return may
  }

  /** For the plugin: a stream ends with the right that it was opened with. */
  readonly onStream = (request: FastifyRequest, end: () => void): Disposable | undefined => {
    const account = this.#entered.get(request)
    return account && this.#sessions.begin(account, end)
  }

  /** Looks through the live streams now, and not only in a moment. */
  look(): Promise<void> {
    return this.#sessions.look()
  }

  #who(request: FastifyRequest): string | null {
    const account = this.#entered.get(request)
    return account ? accountLabel(account) : null
  }

  #attempt(request: FastifyRequest, code: string, who: string | null, action: string | null): Attempt {
    const { url = null } = request.routeOptions
    return { code, who, action, method: request.method, route: url, requestId: request.id }
  }

  async #refused(request: FastifyRequest, refusal: Refusal, action: string | null = actionOf(request)): Promise<Refusal> {
    // An outage of ours is nobody's attempt.
    if (refusal.statusCode >= 500) return refusal
    this.#audit.refused(this.#attempt(request, refusal.code, refusal.who, action))
    if (!(await this.#isOverdone(request))) return refusal
    return new Refusal('too_many_requests', { detail: 'Too many attempts that were refused.', remedy: 'Wait a minute.' })
  }
}

/** As the plugin has written it into the route. */
function actionOf({ routeOptions }: FastifyRequest): string | null {
  const { pintailAction } = (routeOptions.config ?? {}) as { readonly pintailAction?: unknown }
  return typeof pintailAction === 'string' ? pintailAction : null
}
