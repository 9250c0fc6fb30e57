import { type ScenarioWorld, type Stage, scenario } from '../../packages/core/src/testing/sim/scenario.ts'

/** A fault of the mover, and where in a migration it strikes. */
export interface Fault {
  readonly phase: 'preparing' | 'transferring' | 'completing' | 'undoing'
  readonly what: string
  readonly world?: ScenarioWorld
  /** Set up before the server fails, or is drained. */
  readonly strike: (world: Stage) => void
}

/** What became of it, twenty minutes later. */
export interface Outcome {
  readonly migrations: string
  readonly users: string
  readonly left: string
  readonly told: string
}

const briefly = 30

/** From the moment in which a migration enters this state. */
const during =
  (status: 'preparing' | 'transferring' | 'completing', ...kinds: readonly Parameters<Stage['fault']>[0][]) =>
  (world: Stage): void =>
    world.when(status, () => {
      for (const kind of kinds) world.fault(kind, briefly)
    })

const targetDies = (status: 'preparing' | 'transferring' | 'completing', forGood: boolean) => (world: Stage) =>
  world.when(status, () => {
    const target = world.migrations.at(-1)?.toServerId ?? ''
    world.kill(target)
    if (!forGood) world.after(90, () => world.revive(target))
  })

const killed = (call: Parameters<Stage['crashAt']>[0], when: 'before' | 'after') => (world: Stage) =>
  world.when('preparing', () => world.crashAt(call, when))

export const faults: readonly Fault[] = [
  { phase: 'preparing', what: '`prepare` refuses one target for good', strike: (world) => world.refusePreparation('s2') },
  { phase: 'preparing', what: '`prepare` is unavailable for 30 s', strike: during('preparing', 'mover.fails_prepare') },
  { phase: 'preparing', what: 'the target dies', strike: targetDies('preparing', true) },
  { phase: 'preparing', what: 'the leader is killed in front of `prepare`', strike: killed('prepare', 'before') },
  { phase: 'preparing', what: 'the leader is killed before the answer of `prepare`', strike: killed('prepare', 'after') },
  { phase: 'transferring', what: 'one user is refused by every target', strike: (world) => world.refuse('s1-1') },
  { phase: 'transferring', what: '`move` is unavailable for 30 s', strike: during('transferring', 'mover.is_unavailable') },
  {
    phase: 'transferring',
    what: '`move` breaks without an answer and without an effect',
    strike: during('transferring', 'mover.fails_unclearly'),
  },
  { phase: 'transferring', what: '`move` breaks half-way', strike: during('transferring', 'mover.fails_halfway') },
  { phase: 'transferring', what: '`move` has its effect, and no answer', strike: during('transferring', 'mover.times_out_after_success') },
  {
    phase: 'transferring',
    what: 'the same, and `locate` fails too',
    strike: during('transferring', 'mover.times_out_after_success', 'mover.fails_locate'),
  },
  { phase: 'transferring', what: '`move` never answers', strike: during('transferring', 'mover.hangs') },
  { phase: 'transferring', what: '`move` takes effect after it was given up', strike: during('transferring', 'mover.arrives_late') },
  {
    phase: 'transferring',
    what: 'the same, by a panel without fencing',
    world: { panel: { fencing: 'none' } },
    strike: during('transferring', 'mover.arrives_late'),
  },
  { phase: 'transferring', what: 'the panel carries each `move` out twice', strike: during('transferring', 'mover.duplicates') },
  { phase: 'transferring', what: '`move` says done, and nothing is done', strike: during('transferring', 'mover.lies') },
  {
    phase: 'transferring',
    what: 'the same, by a mover without `verify`',
    world: { panel: { has: ['prepare', 'complete', 'locate', 'rollback'] } },
    strike: during('transferring', 'mover.lies'),
  },
  { phase: 'transferring', what: '`verify` says no for 30 s', strike: during('transferring', 'mover.fails_verify') },
  { phase: 'transferring', what: 'the target dies, for good', strike: targetDies('transferring', true) },
  { phase: 'transferring', what: 'the target dies, for 90 s', strike: targetDies('transferring', false) },
  { phase: 'transferring', what: 'the leader is killed in front of a `move`', strike: killed('move', 'before') },
  { phase: 'transferring', what: 'the leader is killed before the answer of a `move`', strike: killed('move', 'after') },
  { phase: 'transferring', what: 'the leader is killed before the answer of `verify`', strike: killed('verify', 'after') },
  {
    phase: 'transferring',
    what: 'the users cannot be told where they are now, for 30 s',
    world: { notifier: true },
    strike: during('transferring', 'notifier.fails'),
  },
  { phase: 'completing', what: '`complete` fails for 30 s', strike: during('completing', 'mover.fails_complete') },
  { phase: 'completing', what: 'the target dies, for good', strike: targetDies('completing', true) },
  { phase: 'completing', what: 'the leader is killed in front of `complete`', strike: killed('complete', 'before') },
  { phase: 'completing', what: 'the leader is killed before the answer of `complete`', strike: killed('complete', 'after') },
  {
    phase: 'completing',
    what: 'nothing fails, and the mover has no `complete`',
    world: { panel: { has: ['prepare', 'locate', 'verify', 'rollback'] } },
    strike: () => {},
  },
  {
    phase: 'undoing',
    what: '`verify` says no, and `rollback` fails, for 30 s',
    strike: during('transferring', 'mover.fails_verify', 'mover.fails_rollback'),
  },
  {
    phase: 'undoing',
    what: '`verify` says no, and the mover has no `rollback`',
    world: { panel: { has: ['prepare', 'complete', 'locate', 'verify'] } },
    strike: during('transferring', 'mover.fails_verify'),
  },
  {
    phase: 'undoing',
    what: '`verify` says no, and the leader is killed in front of `rollback`',
    strike: (world) => {
      during('transferring', 'mover.fails_verify')(world)
      killed('rollback', 'before')(world)
    },
  },
  {
    phase: 'undoing',
    what: '`verify` says no, and the leader is killed before the answer of `rollback`',
    strike: (world) => {
      during('transferring', 'mover.fails_verify')(world)
      killed('rollback', 'after')(world)
    },
  },
]

/** Four servers, six users on `s1`. The simulator's judge watches, so that a broken invariant is no row but an error. */
export async function observe({ what, world = {}, strike }: Fault, source: 'dead' | 'alive'): Promise<Outcome> {
  let seen: Outcome | null = null
  const policy = { mode: 'auto', migration: { timeoutMs: 5000, backoffMs: 500, concurrencyPerTarget: 1 } } as const
  await scenario(`${what}, source ${source}`, { users: 6, policy, ...world }, async (stage) => {
    strike(stage)
    if (source === 'dead') stage.kill('s1')
    // Whoever asked may be cut off by a killed leader: the drain goes on without him.
    else await stage.answer(stage.engine.drain('s1')).catch(() => {})
    await stage.minutes(20)
    seen = { migrations: migrationsOf(stage), users: usersOf(stage), left: leftOf(stage), told: toldOf(stage) }
  }).run()
  if (!seen) throw new Error(`${what}: the world ended before it was looked at`)
  return seen
}

/** `3 × a, b`, in the order in which they come first. */
function counted(items: readonly string[], none: string): string {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1)
  return [...counts].map(([item, count]) => (count > 1 ? `${count} × ${item}` : item)).join('; ') || none
}

function migrationsOf(stage: Stage): string {
  const text = stage.migrations.map(({ status, retryCount, rollbackSuccess, connectionsMoved: moved, connectionsFailed: failed }) =>
    [
      status,
      ...(retryCount > 0 ? [`after ${retryCount} ${retryCount === 1 ? 'retry' : 'retries'}`] : []),
      ...(status === 'failed' && rollbackSuccess !== null ? [rollbackSuccess ? 'undone' : 'with residue'] : []),
      ...(failed > 0 && moved > 0 ? [`${failed} of ${failed + moved} not moved`] : []),
    ].join(', '),
  )
  return counted(text, 'none')
}

function usersOf(stage: Stage): string {
  const homes = ['s1', 's2', 's3', 's4'].map((server) => {
    const count = stage.on(server).length
    const name = server === 's1' ? 'the source' : `\`${server}\``
    return { count, text: `${count} on ${name}${stage.server(server).alive ? '' : ', which is dead'}`, isTarget: server !== 's1' }
  })
  const alive = homes.filter(({ isTarget, text }) => isTarget && !text.endsWith('dead')).reduce((sum, { count }) => sum + count, 0)
  const others = homes.filter(({ count, isTarget, text }) => count > 0 && (!isTarget || text.endsWith('dead')))
  return [...(alive > 0 ? [`${alive} on living targets`] : []), ...others.map(({ text }) => text)].join('; ')
}

/** Grants beside the homes: each is owed, or listed as residue. */
function leftOf(stage: Stage): string {
  const found: string[] = []
  for (const server of ['s1', 's2', 's3', 's4'])
    for (const source of ['s1', 's2', 's3', 's4'])
      for (const user of stage.on(source)) {
        if (source === server || !stage.grants(user).includes(server)) continue
        const owed = stage.revokes.find(({ serverId, move }) => serverId === server && move.connection.id === user)
        const isListed = stage.migrations.some(({ residue }) => residue.some((id) => id === user))
        const where = server === 's1' ? 'the source' : 'a target'
        const wait = stage.server(server).alive ? 'its time' : 'its return'
        found.push(`grant on ${where}: ${owed ? `owed, waits for ${wait}` : isListed ? 'in `residue`' : 'nobody takes it back'}`)
      }
  return counted(found, 'nothing')
}

/** What the log says as a warning or an error of moves and migrations, once each. */
function toldOf(stage: Stage): string {
  const lines = stage.lines
    .filter((line) => /^(warn|error): /.test(line) && !/suspect|incident|packet answered|no answer to \d+ packet/.test(line))
    .map((line) => line.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…').replace(/\bs[234]\b/g, 'a target'))
  const [first, ...rest] = [...new Set(lines)]
  if (!first) return 'nothing'
  const text = first.replace(/\|/g, '/')
  return rest.length === 0 ? `“${text}”` : `“${text}” and ${rest.length} more`
}

export async function faultTables(): Promise<string> {
  const parts: string[] = []
  for (const phase of ['preparing', 'transferring', 'completing', 'undoing'] as const) {
    const rows = [
      ['the fault', 'source', 'how the migrations end', 'where the users are', 'grants left beside their homes', 'the log'],
      ['---', '---', '---', '---', '---', '---'],
    ]
    for (const fault of faults.filter((one) => one.phase === phase))
      for (const source of ['dead', 'alive'] as const) {
        const { migrations, users, left, told } = await observe(fault, source)
        rows.push([source === 'dead' ? fault.what : '', source, migrations, users, left, told])
      }
    parts.push(`## ${phase[0]?.toUpperCase()}${phase.slice(1)}`, rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n'))
  }
  return parts.join('\n\n')
}
