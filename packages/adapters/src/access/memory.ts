import { type ConnectionInput, type Json, PintailError, type ServerInput } from '@pintail/core'
import { comparePairs, type Pair } from '../regions/messages.ts'
import type { AccessBooks, AccessRow, HomeChange, HomeOutcome, Want, WantOutcome } from './book.ts'
import { keptKeys } from './book.ts'
import { isOlder, mostRows, newerOf } from './order.ts'

interface Known {
  input: ConnectionInput
  home: string
  newest: Pair
  keys: readonly string[]
  readonly rows: Map<string, AccessRow>
}

/** Books in memory, for tests and examples. The example to copy for the host's own. */
export function memoryAccess(): AccessBooks {
  const servers = new Map<string, ServerInput>()
  const known = new Map<string, Known>()
  let highest = 0

  const put = (one: Known, row: AccessRow): void => void one.rows.set(row.serverId, row)
  const grantOf = (one: Known): Json => one.rows.get(one.home)?.payload ?? null

  const want = ({ connectionId, serverId, wanted, payload, ...pair }: Want): WantOutcome => {
    const one = known.get(connectionId)
    if (!one) return 'no_connection'
    if (!servers.has(serverId)) return 'no_server'
    const row = one.rows.get(serverId)
    if (pair.token < highest || comparePairs(pair, one.newest) < 0) return 'fenced'
    if (row && isOlder({ wanted, ...pair }, row)) return 'fenced'
    if (wanted === 'revoked' && one.home === serverId) return 'home'
    one.newest = pairOf(pair)
    const isTentative = wanted === 'granted' && one.home !== serverId && (row?.wanted !== 'granted' || row.isTentative)
    put(one, { connectionId, serverId, wanted, isTentative, ...pairOf(pair), payload: payload ?? row?.payload ?? grantOf(one) })
    return 'kept'
  }

  const setHome = ({ connectionId, from, to, grant, leaves, key, ...pair }: HomeChange): HomeOutcome => {
    const one = known.get(connectionId)
    const row = one?.rows.get(to)
    if (!one || (one.home !== from && one.home !== to)) return 'elsewhere'
    if (pair.token < highest || comparePairs(pair, one.newest) < 0) return 'fenced'
    if (row?.wanted !== 'granted' || comparePairs(row, grant) !== 0) return 'fenced'
    one.newest = pairOf(pair)
    one.home = to
    if (key !== null) one.keys = [key, ...one.keys.filter((other) => other !== key)].slice(0, keptKeys)
    put(one, { ...row, isTentative: false })
    const left = one.rows.get(from)
    if (left && from !== to && leaves === 'revoked') put(one, { ...left, wanted: 'revoked', isTentative: false, ...pairOf(pair) })
    return 'set'
  }

  const serverOf = (id: string): ServerInput => {
    const found = servers.get(id)
    if (!found) throw new PintailError('rejected', `there is no server ${id}`)
    return found
  }
  const residents = (id: string): Known[] => [...known.values()].filter(({ home }) => home === id)

  return {
    async look(connectionId) {
      const one = known.get(connectionId)
      return one ? { ...one.newest, serverId: one.home, keys: one.keys, rows: [...one.rows.values()] } : null
    },
    async want(one) {
      return want(one)
    },
    async setHome(change) {
      return setHome(change)
    },
    async forget(serverId, gone) {
      for (const { connectionId, ...pair } of gone) {
        const one = known.get(connectionId)
        const row = one?.rows.get(serverId)
        if (one && row && one.home !== serverId && comparePairs(row, pair) === 0 && isLeaving(row)) one.rows.delete(serverId)
      }
    },
    async rowsOn(serverId, { after, limit }) {
      const rows = [...known.values()].flatMap(({ rows }) => rows.get(serverId) ?? [])
      return rows
        .filter(({ connectionId }) => after === null || connectionId > after)
        .sort((a, b) => (a.connectionId < b.connectionId ? -1 : 1))
        .slice(0, Math.min(limit, mostRows))
    },
    async servers() {
      return [...servers].map(([id, { region = null }]) => ({ id, region }))
    },
    async fence(token) {
      if (token < highest) return false
      highest = token
      return true
    },

    async listServers() {
      return [...servers].map(([id, server]) => ({ ...server, load: residents(id).length }))
    },
    async listConnections({ id }) {
      return residents(id).map(({ input }) => input)
    },
    async setServerStatus({ id }, status) {
      servers.set(id, { ...serverOf(id), status })
    },

    async putServer(server) {
      const status = server.status ?? servers.get(String(server.id))?.status ?? null
      servers.set(String(server.id), { ...server, status })
    },
    async removeServer(id) {
      servers.delete(String(id))
      for (const one of known.values()) if (one.home !== String(id)) one.rows.delete(String(id))
    },
    async assign(input, server, payload) {
      const [id, serverId] = [String(input.id), String(server)]
      serverOf(serverId)
      const before = known.get(id)
      const one: Known = before ?? { input, home: serverId, newest: { token: 0, epoch: 0 }, keys: [], rows: new Map() }
      known.set(id, one)
      const grant = payload ?? one.rows.get(serverId)?.payload ?? grantOf(one)
      one.input = input
      one.home = serverId
      put(one, { connectionId: id, serverId, wanted: 'granted', isTentative: false, ...one.newest, payload: grant })
      for (const row of one.rows.values())
        if (row.serverId !== serverId) put(one, { ...row, wanted: 'revoked', isTentative: false, ...newerOf(one.newest, row) })
    },
    async remove(connection) {
      known.delete(String(connection))
    },
    async homeOf(connection) {
      return known.get(String(connection))?.home ?? null
    },
  }
}

const pairOf = ({ token, epoch }: Pair): Pair => ({ token, epoch })

/** Nothing that is wanted to stay. */
const isLeaving = ({ wanted, isTentative }: AccessRow): boolean => wanted === 'revoked' || isTentative
