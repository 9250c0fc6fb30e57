import ts from 'typescript'

// SEED-COVERAGE.md: one row for each requirement line of the five seeds, and what shows it.

/** Files of the repository by their path from its root; null: there is no such file. */
export type ReadFile = (path: string) => string | null

type Row = { line: number; seed: string; cells: readonly string[] }
type Document = { rows: readonly Row[]; parts: readonly string[]; seeds: ReadonlyMap<string, string> }

export const seedNumbers = ['000', '001', '002', '003', '004']
const columns = ['id', 'section', 'requirement', 'state', 'shown by']
const begin = '<!-- counts: begin; written by `npm run seeds -- --write` -->'
const end = '<!-- counts: end -->'

/** Every problem of the document, each with its line. */
export function checkSeeds(text: string, read: ReadFile): string[] {
  const document = parse(text)
  return [...checkSeedTables(document), ...checkRows(document, read), ...checkParts(document), ...checkCounts(text)]
}

// ------------------------------------------------------------------------------------------------------------- reading

function parse(text: string): Document {
  const rows: Row[] = []
  const parts: string[] = []
  const seeds = new Map<string, string>()
  let heading = ''
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('## ')) {
      heading = line.slice(3).trim()
      const seed = /^(\d{3}) /.exec(heading)?.[1]
      if (seed) seeds.set(seed, heading)
    }
    if (!line.startsWith('|')) continue
    const cells = cellsOf(line)
    if (cells.join() === columns.join() || cells[0] === 'part' || cells.every((cell) => /^:?-+:?$/.test(cell))) continue
    const seed = /^(\d{3}) /.exec(heading)?.[1]
    if (seed) rows.push({ line: index + 1, seed, cells })
    else if (heading === 'Parts to come') parts.push(cells[0] ?? '')
  }
  return { rows, parts, seeds }
}

/** A `\|` is a character of its cell. */
function cellsOf(line: string): string[] {
  return line
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.replaceAll('\\|', '|').trim())
}

// --------------------------------------------------------------------------------------------------------------- rules

function checkSeedTables({ rows, seeds }: Document): string[] {
  return seedNumbers.flatMap((seed) => {
    if (!seeds.has(seed)) return [`seed ${seed} has no heading "## ${seed} …"`]
    return rows.some((row) => row.seed === seed) ? [] : [`seed ${seed} has no row`]
  })
}

function checkRows({ rows, parts }: Document, read: ReadFile): string[] {
  const counted = new Map<string, number>()
  return rows.flatMap(({ line, seed, cells }) => {
    const number = (counted.get(seed) ?? 0) + 1
    counted.set(seed, number)
    const wanted = `${seed}-${String(number).padStart(2, '0')}`
    const [id = '', section = '', requirement = '', state = '', shown = ''] = cells
    const problems: string[] = []
    if (cells.length !== columns.length)
      problems.push(`has ${cells.length} cells, not ${columns.length} (write a | inside of a cell as \\|)`)
    if (id !== wanted) problems.push(`the id is "${id}" where ${wanted} comes next`)
    if (section === '') problems.push('names no section of the seed')
    if (requirement === '') problems.push('says no requirement')
    problems.push(...checkState(state, shown, parts), ...checkReferences(state, shown, read))
    return problems.map((problem) => `line ${line}, ${wanted}: ${problem}`)
  })
}

function checkState(state: string, shown: string, parts: readonly string[]): string[] {
  if (state === 'done') return []
  if (state === "host's") return /\p{L}/u.test(shown) ? [] : ["host's needs the reason in its last cell"]
  const part = /^later: (.+)$/.exec(state)?.[1]
  if (part === undefined) return [`"${state}" is no state: done, later: <part>, host's`]
  return parts.includes(part) ? [] : [`"${part}" is not listed under "Parts to come"`]
}

const spans = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
const looksLikePath = (span: string): boolean => /^[\w.@-]+(\/[\w.@-]+)+\.\w+( ›|$)/.test(span)

/** In a `done` row every code span is a reference; elsewhere those that look like one. */
function checkReferences(state: string, shown: string, read: ReadFile): string[] {
  const references = state === 'done' ? spans(shown) : spans(shown).filter(looksLikePath)
  if (state === 'done' && references.length === 0) return ["done names no file: write `path` or `path › 'name of a test'`"]
  return references.flatMap((reference) => checkReference(reference, read) ?? [])
}

function checkReference(reference: string, read: ReadFile): string | null {
  const match = /^([^›]+?)(?: › '(.*)')?$/.exec(reference)
  const path = match?.[1]
  const name = match?.[2]
  if (path === undefined) return `\`${reference}\` is not of the form path › 'name of a test'`
  const source = path.startsWith('/') || path.split('/').includes('..') ? null : read(path)
  if (source === null) return `there is no file ${path}`
  const isTestFile = /\.(test|lab|browser)\.ts$/.test(path)
  if (name === undefined) return isTestFile ? `${path} is a test file: name the test in it` : null
  if (!isTestFile) return `${path} is no test file: it can have no test '${name}'`
  return testNamesOf(source, path).has(name) || isScenario(source, path, name, read) ? null : `${path} has no test '${name}' that runs`
}

/** `x.test.ts` may run the scenarios of its folder `./x/`: one a file, named after its rule. */
function isScenario(source: string, path: string, name: string, read: ReadFile): boolean {
  const folder = path.replace(/\.test\.ts$/, '')
  const file = `${name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')}.ts`
  const scenario = source.includes(`'./${folder.split('/').at(-1)}/'`) ? read(`${folder}/${file}`) : null
  return scenario !== null && testNamesOf(scenario, file, ['scenario']).has(name)
}

const runsNever = ['skip', 'todo', 'fails']

/** The literal names of all `test(…)` and `it(…)` with a body, also of `test.skipIf(…)(…)`; never of those that are always skipped. */
export function testNamesOf(source: string, path = 'file.test.ts', words: readonly string[] = ['test', 'it']): Set<string> {
  const names = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const callee = calleeOf(node)
      if (callee.some((word) => runsNever.includes(word)) && ['test', 'it', 'describe'].includes(callee[0] ?? '')) return
      const [first, ...rest] = node.arguments
      if (words.includes(callee[0] ?? '') && rest.length > 0 && first && ts.isStringLiteralLike(first)) names.add(first.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true))
  return names
}

/** `test.skipIf(x)('name', …)` gives `['test', 'skipIf']`. */
function calleeOf(call: ts.CallExpression): string[] {
  const words: string[] = []
  let node: ts.Expression = call.expression
  while (true) {
    if (ts.isPropertyAccessExpression(node)) words.unshift(node.name.text)
    if (ts.isPropertyAccessExpression(node) || ts.isCallExpression(node)) node = node.expression
    else return ts.isIdentifier(node) ? [node.text, ...words] : words
  }
}

function checkParts({ rows, parts }: Document): string[] {
  const used = new Set(rows.map(({ cells }) => cells[3]))
  return parts.filter((part) => !used.has(`later: ${part}`)).map((part) => `part "${part}" has no line left: take it off "Parts to come"`)
}

// -------------------------------------------------------------------------------------------------------------- counts

function checkCounts(text: string): string[] {
  if (!text.includes(begin) || !text.includes(end)) return [`the lines "${begin}" and "${end}" are missing`]
  return withCounts(text) === text ? [] : ['the counts at the top are not those of the rows: npm run seeds -- --write']
}

/** The document with the counts that its rows have. */
export function withCounts(text: string): string {
  const [before, rest] = [text.slice(0, text.indexOf(begin)), text.slice(text.indexOf(end))]
  return `${before}${begin}\n${countsOf(text)}${rest}`
}

/** How many lines are in which state, by seed and by part: two tables. */
export function countsOf(text: string): string {
  const { rows, parts, seeds } = parse(text)
  const inState = (seed: string | null, kind: string): number =>
    rows.filter((row) => (seed === null || row.seed === seed) && (row.cells[3] ?? '').startsWith(kind)).length
  const line = (name: string, seed: string | null): string => {
    const [done, later, hosts] = [inState(seed, 'done'), inState(seed, 'later: '), inState(seed, "host's")]
    return `| ${name} | ${done} | ${later} | ${hosts} | ${done + later + hosts} |`
  }
  const waiting = (part: string): number => rows.filter(({ cells }) => cells[3] === `later: ${part}`).length
  return [
    '',
    "| seed | done | later | host's | all |",
    '|---|--:|--:|--:|--:|',
    ...seedNumbers.map((seed) => line(seeds.get(seed) ?? seed, seed)),
    line('**all**', null),
    '',
    '| comes with | lines |',
    '|---|--:|',
    ...parts.map((part) => `| ${part} | ${waiting(part)} |`),
    '',
    '',
  ].join('\n')
}

/** Done, later, host's: for one line at the end of a run. */
export function summaryOf(text: string): string {
  const states = parse(text).rows.map(({ cells }) => cells[3] ?? '')
  const count = (kind: string): number => states.filter((state) => state.startsWith(kind)).length
  return `${states.length} requirement lines: ${count('done')} done, ${count('later: ')} later, ${count("host's")} the host's`
}
