// How soon is a failing server called down, how often a healthy one, and at how many packets?
//
// The engine's own pure functions in a small world of virtual time. Times are of many trials; false alarms, which may
// come once in a billion years, by splitting (bench/detect/rare.ts), beside a hidden-Markov calculation where there is one.

import { lordenBound, silenceRate } from './detect/markov.ts'
import { type Background, backgrounds, lateness, seeded } from './detect/path.ts'
import { type Contender, contenders, cusumIntervals } from './detect/policies.ts'
import { falseDownRate, type Rarity } from './detect/rare.ts'
import { detect, faults, flapMoves, movesOfOthers, partitionMoves } from './detect/trials.ts'
import { healthy, usualRttMs } from './detect/world.ts'
import { type Bench, type Emit, quantile } from './harness.ts'

const minutesAYear = 525_960
/** What cannot be found is not looked for 2 000 times. */
const first = 24
const trials = 2000

function falseAlarms(emit: Emit, one: Contender, background: Background, random: () => number): Rarity {
  if (background.name === 'clean') {
    // No packet is lost there: what is left is an answer that comes too late, the first of several that would have to.
    const { timeoutFloorMs, pingTimeoutMs, confirm } = one.detect
    const waitMs = confirm ? usualRttMs + timeoutFloorMs : pingTimeoutMs
    const packetsPerMinute = (one.detect.pingCount * 60_000) / one.detect.checkIntervalMs
    const bound = packetsPerMinute * minutesAYear * lateness(usualRttMs, waitMs)
    emit({ case: `${one.name}/healthy/clean`, metric: 'false_down_per_server_year_bound', value: bound, unit: '/server-year' })
    emit({ case: `${one.name}/healthy/clean`, metric: 'packets_per_server_minute', value: packetsPerMinute, unit: '/min' })
    return { perYear: 0, highPerYear: bound, isBound: true, packetsPerMinute }
  }
  const found = falseDownRate({ detect: one.detect, vantages: one.vantages, background, random, fault: healthy })
  const name = `${one.name}/healthy/${background.name}`
  const limit = one.aims?.[background.name as 'even2' | 'bursty5']
  // The aim is met when the upper end of the interval meets it.
  const judged = limit === undefined ? {} : { aim: `value<=${limit}`, ok: found.highPerYear <= limit }
  const isKnown = one.vantages === 1 && one.detect.confirm && one.detect.detector === 'thresholds' && !found.isBound
  const peer = isKnown ? silenceRate(one.detect, background, usualRttMs + one.detect.timeoutFloorMs) : 0
  const beside = peer > 0 ? { peer: 'hidden-Markov calculation', ratio: found.perYear / peer } : {}
  const unit = '/server-year'
  if (!found.isBound) emit({ case: name, metric: 'false_down_per_server_year', value: found.perYear, unit, ...beside, ...judged })
  emit({
    case: name,
    metric: `false_down_per_server_year_${found.isBound ? 'bound' : 'high'}`,
    value: found.highPerYear,
    unit,
    ...(found.isBound && judged),
  })
  const aim = one.aims && background.name === 'even2' ? { aim: `value<=${one.aims.packets}` } : {}
  emit({ case: name, metric: 'packets_per_server_minute', value: found.packetsPerMinute, unit: '/min', ...aim })
  return found
}

function timesOf(emit: Emit, one: Contender, background: Background, fault: string, random: () => number): number | null {
  const name = `${one.name}/${fault}/${background.name}`
  // The users of a region whose paths are cut see what all users see in an outage; all of one audience's vantages do too.
  const what = faults[fault === 'region-block' ? 'outage' : fault]
  if (!what) throw new Error(`there is no fault ${fault}`)
  const look = detect(one, background, what, random, first)
  const { times, packets, horizonMs } = look.times.length < first ? look : detect(one, background, what, random, trials)
  if (look.times.length < first) {
    const why = `${look.times.length} of ${first} found within ${Math.round(horizonMs / 60_000)} minutes`
    emit({ case: name, metric: 'down_p50_s', skipped: why })
    emit({ case: name, metric: 'found', value: look.times.length / first, unit: 'share' })
    return null
  }
  for (const [metric, share, limit] of [
    ['down_p50_s', 0.5, one.aims?.p50],
    ['down_p99_s', 0.99, one.aims?.p99],
  ] as const) {
    const aim = fault === 'outage' && background.name === 'even2' && limit !== undefined ? { aim: `value<=${limit}` } : {}
    emit({ case: name, metric, value: quantile(times, share) / 1000, unit: 's', ...aim })
  }
  return packets
}

function moves(emit: Emit, one: Contender, background: Background, random: () => number): void {
  const runs = 20
  const most = (run: () => number): number => Math.max(...Array.from({ length: runs }, run))
  emit({ case: `${one.name}/flap/${background.name}`, metric: 'moves', value: most(() => flapMoves(one, background, random)), unit: '' })
  const others = most(() => movesOfOthers(one, background, random))
  emit({ case: `${one.name}/region-block/${background.name}`, metric: 'moves_of_others', value: others, unit: '' })
  const value = most(() => partitionMoves(one, background, random))
  const aim = one.isGuarded ? { aim: 'value==0' } : {}
  emit({ case: `${one.name}/prober-partition/${background.name}`, metric: 'moves', value, unit: '', ...aim })
}

const bench: Bench = async (emit, { progress }) => {
  let seed = 20_260_101
  for (const one of contenders)
    for (const background of backgrounds) {
      const begun = performance.now()
      seed++
      const random = seeded(seed)
      const { perYear, packetsPerMinute } = falseAlarms(emit, one, background, random)
      for (const fault of [...Object.keys(faults), 'region-block']) {
        const packets = timesOf(emit, one, background, fault, random)
        if (one.name !== 'cusum' || fault !== 'loss30' || background.name !== 'even2' || packets === null || perYear === 0) continue
        const bound = lordenBound((packetsPerMinute * minutesAYear) / perYear, 0.3, 0.02)
        const value = packets / bound
        const name = 'cusum/loss30/even2'
        emit({ case: name, metric: 'packets_to_down', value: packets, unit: '', peer: "Lorden's bound", ratio: value })
        emit({ case: name, metric: 'lorden_bound', value: bound, unit: 'packets' })
        emit({ case: name, metric: 'over_lorden_bound', value, unit: 'ratio', aim: 'value<=1.25' })
      }
      moves(emit, one, background, random)
      progress(`${one.name} on ${background.name}: ${((performance.now() - begun) / 1000).toFixed(1)} s`)
    }
  for (const one of cusumIntervals) {
    seed++
    const random = seeded(seed)
    for (const background of backgrounds) {
      if (background.name === 'bursty5') falseAlarms(emit, one, background, random)
      if (background.name === 'even2') timesOf(emit, one, background, 'loss30', random)
    }
    progress(one.name)
  }
}

export default bench
