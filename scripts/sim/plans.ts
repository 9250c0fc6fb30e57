import { type ConnectionInput, isPintailError, type Plan, type ServerInput } from '@pintail/core'
import { createFleet, type Fleet, type History, historyOf, type Step, seededRandom } from '@pintail/core/testing'

/**
 * A world of the simulator in which somebody looks at plans and has them carried out. Half of the worlds stay as they are; in
 * the others the host and operators change something now and then, also between a plan and its execution.
 */
export function planHistoryOf(seed: number): History {
  const { setup } = historyOf(seed)
  const random = seededRandom(seed * 2503 + 29)
  const step = (kind: Step['kind'], at: number): Step => ({ at, phase: null, kind, pick: random(), lastsMs: 1000 + random() * 60_000 })
  const changes = [
    'host.lowers_capacity',
    'operator.cordons',
    'host.adds_users',
    'host.removes_users',
    'server.dies',
    'host.moves_users',
  ] as const
  const steps = [step('operator.executes_a_plan', 30_000)]
  const isChanging = random() < 0.5
  for (let at = 60_000; isChanging && at < 5 * 60_000; at += 40_000 + random() * 60_000) {
    // Looked at for a while, in which something else happens.
    steps.push({ ...step('operator.executes_a_plan', at), lastsMs: 20_000 + random() * 35_000 })
    for (let many = 0; many < 3; many++)
      steps.push(step(changes[Math.floor(random() * changes.length)] as Step['kind'], at + 1000 + random() * 15_000))
  }
  const { advice: _, ...policy } = setup.policy
  const quiet = {
    ...setup,
    policy: { ...policy, mode: 'auto' as const },
    troubleMs: 7 * 60_000,
    calmMs: 60_000,
    rudeListeners: false,
    engines: 1,
  }
  return { setup: quiet, steps }
}

/** What became of one world in memory. */
export interface PlanOutcome {
  /** What was changed between the plan and its execution; null: nothing. */
  readonly change: string | null
  readonly refused: boolean
  /** Users whose place was compared with the plan. */
  readonly compared: number
  /** What is not as it was planned; empty: all is. */
  readonly wrong: readonly string[]
}

type Random = () => number

function draw(random: Random) {
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1))
  const one = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  return { between, one, chance: (share: number): boolean => random() < share }
}

function fleetOf(random: Random): { servers: ServerInput[]; connections: Record<string, ConnectionInput[]> } {
  const { between, one, chance } = draw(random)
  const regions = ['eu', 'us', 'ap', null]
  const servers = Array.from({ length: between(2, 12) }, (_, index): ServerInput => {
    const region = one(regions)
    return {
      id: `s${index + 1}`,
      host: `10.0.0.${index + 1}`,
      capacity: between(3, 40),
      ...(region && { region }),
      ...(chance(0.4) && { failureDomain: one(['rack-a', 'rack-b']) }),
      ...(chance(0.5) && { priceEurHour: between(1, 50) / 100 }),
      ...(chance(0.5) && { protocols: ['wireguard', ...(chance(0.5) ? ['openvpn'] : [])] }),
    }
  })
  const connections: Record<string, ConnectionInput[]> = {}
  for (const { id, capacity } of servers)
    connections[String(id)] = Array.from({ length: between(0, capacity ?? 0) }, (_, index): ConnectionInput => {
      const region = one(regions)
      return {
        id: `${id}-c${index}`,
        tier: one([0, 0, 0, 1, 2]),
        mobility: chance(0.06) ? 'pinned' : chance(0.08) ? 'failure-only' : 'free',
        ...(region && { region }),
        ...(chance(0.2) && { needs: chance(0.5) ? { protocols: ['openvpn'] } : { regions: ['eu', 'us'] } }),
        ...(chance(0.1) && { preferredServer: `s${between(1, servers.length)}` }),
      }
    })
  return { servers, connections }
}

async function ask<T>(fleet: Fleet, call: Promise<T>): Promise<T> {
  let done = false
  const over = call.then(
    () => {
      done = true
    },
    () => {
      done = true
    },
  )
  while (!done) await fleet.advance(20)
  await over
  return call
}

interface Change {
  readonly name: string
  /** What the refusal must name; null: it changes nothing for the plan, and it is carried out. */
  readonly names: string | null
  /** Users who may be elsewhere for it. */
  readonly spares: readonly string[]
  do(): Promise<unknown> | unknown
}

/** Something that happens while somebody looks at the plan. */
function changeOf(fleet: Fleet, plan: Plan, servers: readonly ServerInput[], random: Random): Change | null {
  const { one, chance } = draw(random)
  if (chance(0.5) || plan.placements.length === 0) return null
  const { toServerId: to, loadBefore } = one(plan.placements)
  const row = servers.find(({ id }) => id === to) as ServerInput
  const sources = plan.fromServerIds as readonly string[]
  const spare = servers
    .map(({ id }) => String(id))
    .filter((id) => !sources.includes(id) && !plan.placements.some((part) => part.toServerId === id))
  const leaver = one(one(plan.placements).connections).id
  const { pintail, registry } = fleet
  const idle = spare.length > 0 ? one(spare) : null
  return one<Change>([
    { name: 'a target is cordoned', names: to, spares: [], do: () => pintail.cordon(to) },
    { name: 'a capacity is lowered', names: to, spares: [], do: () => registry.putServer({ ...row, capacity: Math.max(1, loadBefore) }) },
    { name: 'a target goes into maintenance', names: to, spares: [], do: () => registry.putServer({ ...row, status: 'maintenance' }) },
    { name: 'a target dies', names: to, spares: [], do: () => fleet.kill(to) },
    {
      name: 'the policy changes',
      names: 'policy',
      spares: [],
      do: () => pintail.policy.update({ placement: { hostHeadroom: 1 } }, { ifVersion: 0 }),
    },
    { name: 'a user leaves', names: null, spares: [leaver], do: () => registry.unassign(leaver) },
    ...(idle ? [{ name: 'another server is cordoned', names: null, spares: [], do: () => pintail.cordon(idle) }] : []),
  ])
}

/** One world in memory: plan, perhaps a change, execute; who ends where is what the plan said, or the refusal names the change. */
export async function planWorld(seed: number): Promise<PlanOutcome> {
  const random = seededRandom(seed * 7121 + 3)
  const { between, one, chance } = draw(random)
  const { servers, connections } = fleetOf(random)
  const policy = {
    mode: { default: 'auto', 'server-down': 'observe' },
    detect: { checkIntervalMs: 5000 },
    placement: { fillLimit: one([0.7, 0.9, 1]) },
  } as const
  const fleet = await createFleet({ servers, connections, policy, seed })
  try {
    await fleet.advance(2000)
    const ids = servers.map(({ id }) => String(id))
    const drain = [...new Set(Array.from({ length: between(1, Math.min(3, ids.length - 1)) }, () => one(ids)))]
    const some = connections[drain[0] as string] ?? []
    const only =
      drain.length === 1 && chance(0.2) && some.length > 0
        ? { connections: some.slice(0, between(1, some.length)).map(({ id }) => id) }
        : {}
    const reason = one(['manual', 'maintenance', 'rebalancing'] as const)
    const plan = await ask(fleet, fleet.pintail.plan({ drain, reason, ...only }))
    const change = changeOf(fleet, plan, servers, random)
    const before = new Map(ids.flatMap((id) => fleet.registry.on(id).map((user) => [user, id] as const)))
    await change?.do()
    if (change) await fleet.advance(25_000)
    const expected = expectedOf(plan, before)
    const refusal = await ask(fleet, fleet.pintail.execute(plan)).then(
      () => null,
      (error: unknown) => error,
    )
    await fleet.advance(30_000)
    const wrong: string[] = []
    if (refusal !== null) {
      const named = change?.names
      const message = refusal instanceof Error ? refusal.message : String(refusal)
      if (named === null || named === undefined) wrong.push(`refused after ${change?.name ?? 'no change'}: ${message}`)
      else if (!isPintailError(refusal, 'plan_stale') || !refusal.problems.some((one) => one.message.includes(named)))
        wrong.push(`${change?.name}: the refusal does not name ${named}: ${message}`)
    } else if (change?.names) wrong.push(`carried out although ${change.name} (${change.names})`)
    // Whoever leaves makes room, perhaps for one for whom there was none.
    const spares = new Set([...(change?.spares ?? []), ...(change ? plan.unplaced.map(({ connectionId }) => connectionId as string) : [])])
    let compared = 0
    for (const [user, home] of refusal === null ? expected : before) {
      if (spares.has(user)) continue
      compared++
      const is = fleet.registry.homeOf(user)
      if (is !== home) wrong.push(`${user} is on ${is}, not on ${home}${change ? ` (${change.name})` : ''}`)
    }
    if (refusal === null && !change)
      for (const { toServerId, loadAfter } of plan.placements) {
        const load = fleet.registry.on(toServerId).length
        if (load !== loadAfter) wrong.push(`${toServerId} has ${load} users, not ${loadAfter}`)
      }
    return { change: change?.name ?? null, refused: refusal !== null, compared, wrong }
  } finally {
    await fleet.stop()
  }
}

/** Where everybody of the fleet is afterwards, by the plan. */
function expectedOf(plan: Plan, before: ReadonlyMap<string, string>): Map<string, string> {
  const expected = new Map(before)
  for (const { toServerId, connections } of plan.placements) for (const { id } of connections) expected.set(id, toServerId)
  return expected
}
