// npm run sim: worlds in which everything goes wrong, each from one number. `npm run sim -- --help` says how to ask.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type FaultKind, faultKinds, type History, historyOf, phases, shrink, simulate, type Violation } from '@pintail/core/testing'
import { writeReport } from './lib/report.ts'
import { brokerMutants } from './sim/broker/mutants.ts'
import { brokerHistoryOf, simulateBroker } from './sim/broker/simulate.ts'
import { type Campaign, coverageOf, runCampaign } from './sim/campaign.ts'
import { mutantSeeds, mutants } from './sim/mutants.ts'
import * as noticed from './sim/noticed.ts'
import { planWorld } from './sim/plans.ts'
import { type StoreName, storeNames, withStore } from './sim/stores.ts'
import { type TraceOptions, traceJournal } from './sim/trace.ts'

const help = `npm run sim -- [options]

  --seeds N         run N seeds (default 200)
  --from S          the first of them (default 1)
  --seed N          run one seed, and show what happened in it; the same seed is always the same world
  --history FILE    run a history that was written down before: shrunk, or derived from a journal
  --record FILE     with --seed or --history: write the journal of that world to FILE, one line of JSON an entry
  --journal FILE    read the recorded journal of a real engine (what a LogSink was given, e.g. by @pintail/adapters/jsonl,
                    or entries of store.readJournal(), one line of JSON each): tell what happened, judge it against the
                    invariants as far as a journal shows them, run the same night with the current engine, and compare
  --policy FILE     with --journal: the policy that was in force, as JSON (a journal does not hold it)
  --servers FILE    with --journal: rows of the registry when it began, as a JSON list: id, capacity, load …
  --no-replay       with --journal: judge it only
  --plans N         N worlds in memory and N worlds of the simulator in which plans are looked at and carried out: everybody must
                    end where the plan said, and a changed world must be refused with what has changed
  --mutants         break the engine on purpose, in ${mutants.length} ways, and see that each is noticed in one of the first ${mutantSeeds}
                    worlds; first tried is the one that noticed it last time (scripts/sim/noticed.json)
  --in-order        with --mutants: try the worlds one after the other, and write down anew which one notices what
  --mutant NAME     the same for one of them; with --seed shows how it is noticed
  --broker          worlds with region workers behind a broker instead of a panel: the real mover, worker rules and books of
                    @pintail/adapters over a broker that loses, doubles, delays and reorders; with --seeds, --seed and --mutants
                    (${brokerMutants.map(({ name }) => name).join(', ')})
  --coverage        the table of faults and phases
  --no-shrink       do not look for a shorter history of what breaks
  --store NAME      keep the state in memory (default) or in sqlite
  --workers N       processors to use (default: all)
  --help            this

Exit status: 0 nothing broke, 1 an invariant broke or a mutant was not noticed, 2 the question was not understood or a
file could not be read (each bad line of a journal is named, and the rest is read). Differences between a recording and
its replay are no failure: the engine, the policy and what a journal does not hold may be the reason.`

const failuresFolder = '.sim'

interface Options {
  readonly seeds: number
  readonly from: number
  readonly seed: number | null
  readonly history: string | null
  readonly record: string | null
  readonly trace: Omit<TraceOptions, 'folder'> | null
  readonly plans: number | null
  readonly mutants: boolean
  readonly broker: boolean
  readonly inOrder: boolean
  readonly mutant: string | null
  readonly coverage: boolean
  readonly shrink: boolean
  readonly workers: number | null
  readonly store: StoreName
}

function read(args: readonly string[]): Options | string {
  let values: ReturnType<typeof parse>
  function parse() {
    return parseArgs({
      args: [...args],
      allowNegative: true,
      options: {
        seeds: { type: 'string' },
        from: { type: 'string' },
        seed: { type: 'string' },
        history: { type: 'string' },
        record: { type: 'string' },
        journal: { type: 'string' },
        policy: { type: 'string' },
        servers: { type: 'string' },
        replay: { type: 'boolean' },
        mutants: { type: 'boolean' },
        broker: { type: 'boolean' },
        'in-order': { type: 'boolean' },
        mutant: { type: 'string' },
        coverage: { type: 'boolean' },
        shrink: { type: 'boolean' },
        plans: { type: 'string' },
        workers: { type: 'string' },
        store: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  }
  try {
    values = parse()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  if (values.help) return help
  const problems: string[] = []
  const whole = (name: 'seeds' | 'from' | 'seed' | 'workers' | 'plans', least: number): number | null => {
    const text = values[name]
    if (text === undefined) return null
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < least)
      problems.push(`--${name} must be a whole number from ${least} on, not ${JSON.stringify(text)}`)
    return value
  }
  const { journal, policy = null, servers = null, replay = true, record = null } = values
  const trace = journal === undefined ? null : { journal, policy, servers, replay }
  for (const name of ['policy', 'servers', 'replay'] as const)
    if (values[name] !== undefined && trace === null) problems.push(`--${name === 'replay' ? 'no-replay' : name} goes with --journal`)
  if (record !== null && values.seed === undefined && values.history === undefined) problems.push('--record goes with --seed or --history')
  const store = storeNames.find((name) => name === (values.store ?? 'memory'))
  if (!store) problems.push(`--store must be one of ${storeNames.join(', ')}, not ${JSON.stringify(values.store)}`)
  const { history = null, mutant = null, coverage = false, broker = false, shrink: shrinks = true } = values
  const options = {
    seeds: whole('seeds', 1) ?? 200,
    from: whole('from', 0) ?? 1,
    seed: whole('seed', 0),
    workers: whole('workers', 1),
    plans: whole('plans', 1),
    store: store ?? 'memory',
    history,
    record,
    trace,
    mutant,
    coverage,
    mutants: values.mutants ?? false,
    broker,
    inOrder: values['in-order'] ?? false,
    shrink: shrinks,
  }
  const known: readonly { readonly name: string }[] = broker ? brokerMutants : mutants
  if (mutant !== null && !known.some(({ name }) => name === mutant))
    problems.push(`there is no mutant ${mutant}; there are: ${known.map(({ name }) => name).join(', ')}`)
  if (broker && (trace !== null || values.plans !== undefined)) problems.push('--broker goes with neither --journal nor --plans')
  return problems.length > 0 ? problems.join('\n') : options
}

const round = (value: number, digits = 1): string => value.toFixed(digits)

function describe({ setup, steps, script }: History): string {
  const { servers, users, panel, registry, engines, policy } = setup
  const lines = [
    `  ${servers.length} server${servers.length === 1 ? '' : 's'}, ${users.length} user${users.length === 1 ? '' : 's'}, ${engines} engine${engines === 1 ? '' : 's'}, mode ${JSON.stringify(policy.mode)}`,
    `  panel: fencing ${panel.fencing}, confirmation ${panel.confirmation}, has ${panel.has.join(', ') || 'move alone'}; registry: ${registry.tellsLoad ? 'tells' : 'does not tell'} load, ${registry.setsStatus ? 'sets' : 'does not set'} status`,
  ]
  for (const { at, phase, kind, lastsMs } of steps)
    lines.push(`  ${`${round(at / 1000)} s`.padStart(10)}  ${kind}${phase ? ` at the next ${phase}` : ''}, for ${round(lastsMs / 1000)} s`)
  if (script) lines.push(`  ${script.acts.length} acts of a script, ${round(script.endsMs / 60_000)} minutes`)
  return lines.join('\n')
}

async function one(
  history: History,
  title: string,
  { record, store, broker }: Pick<Options, 'record' | 'store' | 'broker'>,
): Promise<number> {
  const run = broker ? simulateBroker : simulate
  const { violations, trace, steps, moves, crashes, virtualMs, journal } = await withStore(store, (kept) => run(history, true, kept))
  if (record !== null) writeFileSync(record, journal.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
  console.log(`${title}\n${describe(history)}\n`)
  for (const line of trace) console.log(line.length > 400 ? `${line.slice(0, 400)}…` : line)
  console.log()
  for (const { invariant, at, message } of violations) console.log(`✗ ${invariant} at ${round(at / 1000)} s: ${message}`)
  console.log(
    `${violations.length} violations; ${steps} steps, ${moves} moves, ${crashes} crashes, ${round(virtualMs / 60_000)} virtual minutes`,
  )
  return violations.length > 0 ? 1 : 0
}

async function makeShorter(seed: number, campaign: Campaign): Promise<void> {
  const violation = campaign.broken.find((broken) => broken.seed === seed)?.violations[0]
  if (!violation) return
  process.stderr.write(`looking for a shorter history of seed ${seed} …\n`)
  const { history, violation: found, runs } = await shrink(historyOf(seed), violation)
  mkdirSync(failuresFolder, { recursive: true })
  const file = `${failuresFolder}/seed-${seed}.json`
  writeFileSync(file, `${JSON.stringify(history, null, 1)}\n`)
  console.log(`\nthe shortest history of seed ${seed} that was found in ${runs} runs:\n${describe(history)}`)
  console.log(`  ✗ ${found.invariant} at ${round(found.at / 1000)} s: ${found.message}`)
  console.log(`  see it: npm run sim -- --history ${file}`)
}

function table(campaign: Campaign): string {
  const wide = Math.max(...faultKinds.map((kind) => kind.length))
  const head = `${'fault'.padEnd(wide)} ${phases.map((phase) => phase.padStart(12)).join('')}`
  const rows = faultKinds.map(
    (kind) => `${kind.padEnd(wide)} ${phases.map((phase) => String(campaign.struck.get(kind)?.get(phase) ?? 0).padStart(12)).join('')}`,
  )
  return [head, ...rows].join('\n')
}

function bar(total: number): (done: number, broken: number) => void {
  let told = 0
  return (done, broken) => {
    const now = performance.now()
    if (now - told < 1000 && done < total) return
    told = now
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${total} seeds, ${broken} broken${done === total ? '\n' : ''}`)
    else if (done % 500 === 0 || done === total) process.stderr.write(`${done} of ${total} seeds, ${broken} broken\n`)
  }
}

async function campaign(options: Options): Promise<number> {
  const { from, seeds, workers, mutant, store, broker } = options
  const onBroken = (seed: number, [first]: readonly Violation[]): void => {
    process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}broken: seed ${seed}: ${first?.invariant}: ${first?.message}\n`)
  }
  const result = await runCampaign({
    from,
    seeds,
    mutant,
    store,
    broker,
    ...(workers !== null && { workers }),
    progress: bar(seeds),
    onBroken,
  })
  const { broken, errors, steps, moves, crashes, virtualMs, wallMs, struck } = result
  for (const { seed, violations } of broken.slice(0, 20))
    for (const { invariant, at, message } of violations.slice(0, 3))
      console.log(`✗ seed ${seed}: ${invariant} at ${round(at / 1000)} s: ${message}`)
  for (const { seed, error } of errors.slice(0, 5)) console.log(`✗ seed ${seed}: the simulator itself failed: ${error}`)
  const first = broken[0]
  if (options.shrink && first && mutant === null && !broker) await makeShorter(first.seed, result)
  if (options.coverage) console.log(table(result))
  const { share, missing } = coverageOf(result)
  if (missing.length > 0)
    console.log(`not met: ${missing.slice(0, 12).join(', ')}${missing.length > 12 ? ` and ${missing.length - 12} more` : ''}`)
  const faults = faultKinds.map((kind) => [kind, [...(struck.get(kind)?.values() ?? [])].reduce((sum, count) => sum + count, 0)] as const)
  console.log(`faults by kind: ${faults.map(([kind, count]) => `${kind} ${count}`).join(', ')}`)
  const violations = broken.reduce((sum, { violations: list }) => sum + list.length, 0)
  const total = faults.reduce((sum, [, count]) => sum + count, 0)
  console.log(
    JSON.stringify({
      seeds: result.seeds,
      violations,
      coverage: Math.round(share * 1000) / 1000,
      steps,
      faults: total,
      crashes,
      moves,
      advised: result.advised,
      plans: result.plans,
      virtual_days: Math.round(virtualMs / 8_640_000) / 10,
      wall_s: Math.round(wallMs / 100) / 10,
    }),
  )
  const failed = broken.length + errors.length
  writeReport(broker ? 'broker' : 'sim', { passed: result.seeds - failed, failed, skipped: 0 })
  return failed > 0 ? 1 : 0
}

/** Plan equals execution, in memory and under the simulator. */
async function checkPlans(worlds: number, { from, workers }: Options): Promise<number> {
  const outcomes = { worlds, carried_out: 0, refused: 0, users_compared: 0, wrong: 0 }
  const progress = bar(worlds)
  for (let seed = from; seed < from + worlds; seed++) {
    const { refused, compared, wrong } = await planWorld(seed)
    if (refused) outcomes.refused++
    else outcomes.carried_out++
    outcomes.users_compared += compared
    if (wrong.length > 0) outcomes.wrong++
    for (const message of wrong.slice(0, 3)) console.log(`✗ world ${seed} in memory: ${message}`)
    progress(seed - from + 1, outcomes.wrong)
  }
  console.log(JSON.stringify({ memory: outcomes }))
  const { broken, errors, plans, moves, wallMs } = await runCampaign({
    from,
    seeds: worlds,
    quiet: true,
    ...(workers !== null && { workers }),
    progress,
  })
  for (const { seed, violations } of broken.slice(0, 20))
    for (const { invariant, at, message } of violations.slice(0, 3))
      console.log(`✗ world ${seed} of the simulator: ${invariant} at ${round(at / 1000)} s: ${message}`)
  for (const { seed, error } of errors.slice(0, 5)) console.log(`✗ world ${seed}: the simulator itself failed: ${error}`)
  const { executed, settled, refused } = plans
  const simulator = {
    worlds,
    carried_out: executed,
    refused,
    users_compared: settled,
    wrong: broken.length,
    moves,
    wall_s: Math.round(wallMs / 1000),
  }
  console.log(JSON.stringify({ simulator }))
  const failed = outcomes.wrong + broken.length + errors.length
  writeReport('plans', { passed: 2 * worlds - failed, failed, skipped: 0 })
  return failed > 0 ? 1 : 0
}

async function checkMutants(options: Options): Promise<number> {
  let missed = 0
  const { broker } = options
  const all: readonly { readonly name: string; readonly breaks: string; readonly kind?: FaultKind }[] = broker ? brokerMutants : mutants
  // Those of the broker are noticed soon, and are looked for in order each time.
  const known = options.inOrder || broker ? new Map<string, number>() : noticed.read()
  const found = new Map<string, number>()
  for (const { name, breaks, kind } of all) {
    const look = (from: number, seeds: number) =>
      runCampaign({
        from,
        seeds,
        mutant: name,
        broker,
        ...(kind && { kind }),
        untilBroken: true,
        ...(options.workers !== null && { workers: options.workers }),
      })
    const seed = known.get(name)
    const isKnown = seed !== undefined && seed >= options.from && seed < options.from + mutantSeeds
    const again = isKnown ? await look(seed, 1) : null
    const { broken, errors, seeds } = again && again.broken.length > 0 ? again : await look(options.from, mutantSeeds)
    if (broken[0]) found.set(name, broken[0].seed)
    const first = broken[0]
    const [how] = first?.violations ?? []
    if (first && how) console.log(`✓ ${name} (${breaks}): noticed in seed ${first.seed}, after ${seeds}: ${how.invariant}: ${how.message}`)
    else {
      missed++
      console.log(`✗ ${name} (${breaks}): not noticed in ${seeds} seeds${errors[0] ? `; ${errors[0].error}` : ''}`)
    }
  }
  if (options.inOrder && !broker) noticed.write(found)
  console.log(JSON.stringify({ mutants: all.length, noticed: all.length - missed }))
  writeReport(broker ? 'broker-mutants' : 'mutants', { passed: all.length - missed, failed: missed, skipped: 0 })
  return missed > 0 ? 1 : 0
}

function readHistory(path: string): History | null {
  try {
    const history = JSON.parse(readFileSync(path, 'utf8')) as Partial<History> | null
    if (history?.setup && history.steps) return history as History
    console.error(`${path} holds no history: it needs setup and steps`)
  } catch (error) {
    console.error(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  return null
}

const options = read(process.argv.slice(2))
if (typeof options === 'string') {
  const isHelp = options === help
  if (isHelp) console.log(help)
  else console.error(`${options}\nnpm run sim -- --help says what can be asked.`)
  process.exitCode = isHelp ? 0 : 2
} else if (options.trace !== null) {
  process.exitCode = await traceJournal({ ...options.trace, folder: failuresFolder })
} else if (options.history !== null) {
  const history = readHistory(options.history)
  process.exitCode = history ? await one(history, options.history, options) : 2
} else if (options.seed !== null && options.mutant === null) {
  process.exitCode = await one(options.broker ? brokerHistoryOf(options.seed) : historyOf(options.seed), `seed ${options.seed}`, options)
} else if (options.plans !== null) {
  process.exitCode = await checkPlans(options.plans, options)
} else if (options.mutants) {
  process.exitCode = await checkMutants(options)
} else {
  process.exitCode = await campaign(options.seed === null ? options : { ...options, from: options.seed, seeds: 1 })
}
