import { type ConnectionMover, type Move, PintailError, type ServerRegistry } from '@pintail/core'

type Nodes = { nodes: { id: number; address: string; enabled: boolean; max_users: number; location: string }[] }
type Users = { users: { uuid: string; country: string | null; node: number }[]; next: number | null }

/** Registry and mover for the Acme panel: `acmePanel('https://panel.example.com', process.env.ACME_TOKEN)`. */
export function acmePanel(url: string, token: string): { registry: ServerRegistry; mover: ConnectionMover } {
  async function call<T>(signal: AbortSignal, method: string, path: string, body?: object, key?: string): Promise<T> {
    const headers = { authorization: `Bearer ${token}`, ...(key && { 'idempotency-key': key }) }
    const response = await fetch(new URL(path, url), { method, headers, body: JSON.stringify(body), signal }).catch((cause) => {
      // Refused: the request never left us. After an abort or a broken line it may have arrived: that stays ambiguous.
      throw cause.cause?.code === 'ECONNREFUSED' ? new PintailError('unavailable', 'the panel refuses connections', { cause }) : cause
    })
    if (response.ok) return (await response.json()) as T
    const problem = `${method} ${path}: ${response.status} ${await response.text()}`
    throw response.status < 500 ? new PintailError(response.status === 429 ? 'unavailable' : 'rejected', problem) : new Error(problem)
  }
  const user = (move: Move) => encodeURIComponent(move.connection.id)
  /** The panel moves the user only off `from`, and once for each key; it answers with the node where the user is now. */
  const put = (move: Move, from: Move['from'], to: Move['to'], key: string, signal: AbortSignal) =>
    call<{ node: number }>(signal, 'PUT', `/users/${user(move)}/node`, { node: to.rawId, only_from: from.rawId }, key)
  const nodeOf = async (move: Move, signal: AbortSignal) =>
    (await call<Users>(signal, 'GET', `/users?uuid=${user(move)}`)).users[0]?.node ?? null

  const registry: ServerRegistry = {
    listServers: async ({ signal }) =>
      (await call<Nodes>(signal, 'GET', '/nodes')).nodes.map(({ id, address, enabled, max_users, location }) => {
        return { id, host: address, status: enabled ? 'online' : 'offline', capacity: max_users, region: location }
      }),
    async *listConnections({ rawId }, { signal }) {
      for (let page: number | null = 1; page !== null; ) {
        const { users, next }: Users = await call(signal, 'GET', `/users?node=${rawId}&page=${page}`)
        yield users.map(({ uuid, country }) => ({ id: uuid, region: country }))
        page = next
      }
    },
    setServerStatus: ({ rawId }, status, { signal }) => call(signal, 'PATCH', `/nodes/${rawId}`, { enabled: status === 'online' }),
  }
  const mover: ConnectionMover = {
    confirmation: 'applied',
    async move(move, { signal }) {
      const { node } = await put(move, move.from, move.to, move.key, signal)
      if (node !== move.to.rawId) throw new PintailError('rejected', `the panel has moved the user to ${node} since`)
    },
    async locate(move, { signal }) {
      const node = await nodeOf(move, signal)
      return node === move.to.rawId ? 'on_target' : node === move.from.rawId ? 'on_source' : 'absent'
    },
    async rollback(move, { signal }) {
      if ((await nodeOf(move, signal)) === move.to.rawId) await put(move, move.to, move.from, `${move.key}/undo`, signal)
    },
  }
  return { registry, mover }
}
