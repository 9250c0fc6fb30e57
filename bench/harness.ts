// What a benchmark is made of: the shape of its lines, and a few honest helpers.
//
//   bench/<name>.bench.ts:  export default async function (emit: Emit, ctx: BenchContext): Promise<void> { … }

/** One measured figure. Names, units and aims are those of the list of benchmarks. */
export type Measurement = {
  case: string
  metric: string
  value: number
  unit: string
  /** What stands beside it in the same run, and ours ÷ theirs. */
  peer?: string
  ratio?: number
  /** `value<=1.10` or `ratio>=0.7`: decides `ok`, unless the benchmark itself gives it. */
  aim?: string
  ok?: boolean
}

/** What cannot be measured on this machine says why; there is no made-up figure. */
export type Skipped = { case: string; metric?: string; skipped: string }

export type Emit = (line: Measurement | Skipped) => void

/** A line as printed: with the name of its benchmark. */
export type BenchLine = { bench: string } & (Measurement | Skipped)

export type BenchContext = {
  name: string
  /** What follows the name on the command line. */
  args: readonly string[]
  /** Tells a person how far it is; goes to stderr. */
  progress(text: string): void
}

export type Bench = (emit: Emit, ctx: BenchContext) => Promise<void>

/** The number in the middle; of an even count, the mean of the two. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Linear between the two nearest values; `share` from 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('no values, no quantile')
  if (!(share >= 0 && share <= 1)) throw new RangeError(`the share must be from 0 to 1, not ${share}`)
  const sorted = [...values].sort((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below + (above - below) * (position - Math.floor(position))
}

/** The median wall time of `runs` runs, in milliseconds; at least five, after one that is not counted. */
export async function medianTime(run: () => unknown, runs = 5): Promise<number> {
  if (runs < 5) throw new RangeError('a wall time is the median of at least five runs')
  await run()
  const times: number[] = []
  for (let count = 0; count < runs; count++) {
    const begin = performance.now()
    await run()
    times.push(performance.now() - begin)
  }
  return median(times)
}

/** A count stays exact; of a measured figure, four significant digits are more than it is worth. */
function rounded(value: number, digits = 4): number {
  return Number.isFinite(value) && !Number.isInteger(value) ? Number(value.toPrecision(digits)) : value
}

/** Whether a figure meets its aim. Throws on an aim that it cannot read: an aim must not be met by accident. */
export function meets(aim: string, { value, ratio }: Pick<Measurement, 'value' | 'ratio'>): boolean {
  const [, subject, comparison, bound] = /^(value|ratio)\s*(<=|>=|<|>|==)\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)$/.exec(aim) ?? []
  if (!subject || !comparison || bound === undefined) throw new Error(`cannot read the aim "${aim}"`)
  const figure = subject === 'ratio' ? ratio : value
  if (figure === undefined) throw new Error(`the aim "${aim}" needs a ratio`)
  return comparisons[comparison as keyof typeof comparisons](figure, Number(bound))
}

const comparisons = {
  '<=': (a: number, b: number) => a <= b,
  '>=': (a: number, b: number) => a >= b,
  '<': (a: number, b: number) => a < b,
  '>': (a: number, b: number) => a > b,
  '==': (a: number, b: number) => a === b,
}

/** A line ready to print: named, rounded, judged by its aim. */
export function lineOf(bench: string, line: Measurement | Skipped): BenchLine {
  if ('skipped' in line) return { bench, ...line }
  const { aim, ok } = line
  const judged = aim !== undefined && ok === undefined ? { ok: meets(aim, line) } : {}
  return {
    bench,
    ...line,
    value: rounded(line.value),
    ...(line.ratio === undefined ? {} : { ratio: rounded(line.ratio) }),
    ...judged,
  }
}
