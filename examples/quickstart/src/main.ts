// npm start: the main job of Pintail, live in the terminal. `--help` says how.
import type { DecisionRecord } from '@pintail/core'
import { errorText, isPintailError, systemClock } from '@pintail/core'
import { App, type Opening, type View } from './app.ts'
import { help, parse, type Settings } from './args.ts'
import { Durable } from './durable.ts'
import { listen, type Wish } from './keys.ts'
import type { Outage } from './outages.ts'
import { type Page, servePage } from './page.ts'
import { fleetTable, PlainView, resultTable } from './plain.ts'
import { render, type Scene, Screen } from './screen.ts'
import { checkLines, runOnce } from './story.ts'
import { clip, duration, painter } from './text.ts'
import { exclusions, filled, type Mover, whyFor, whyShort, whyTable, whyUser } from './why.ts'
import type { Entry } from './words.ts'

const { stdin, stdout, stderr } = process

/** Ends everything in order; the exit code is that of the first who asked. */
const ending = new AbortController()
function end(code: number): void {
  // A second Ctrl-C: whoever asks twice does not want to wait.
  if (ending.signal.aborted) process.exit(130)
  process.exitCode = code
  ending.abort()
}

function watchSignals(once: boolean): void {
  // The live view has no other end than a person's word, so that word is no failure; an unfinished story is one.
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)
    process.on(name, () => end(once ? code : 0))
  // `npm start | head`: nobody reads any more.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    if (!ending.signal.aborted) end(141)
  })
}

const openingOf = ({ mode, durable }: Settings): Opening => ({ mode, durable: durable ? new Durable(process.env) : null })

// --------------------------------------------------------------------------------------------------------- plain lines

function plainView(app: App, lines: PlainView, columns: number): View {
  const capacities = new Map([...app.world.books.servers.values()].map(({ id, capacity }) => [id, capacity]))
  return {
    entry: (entry) => lines.entry(entry),
    progress: (outage, at) => lines.progress(outage, at),
    decided(decision) {
      const full = filled(decision, capacities, app.policy.placement.fillLimit)
      const percent = Math.round(app.policy.placement.fillLimit * 100)
      const limit = full.length === 0 ? [] : [[`  ${full.join(', ')}: filled to ${percent} %, so the next best take the rest`]]
      const best = whyShort(decision)
      lines.block([
        [['Why these targets', 'strong'], `  ${whyFor(decision)}`],
        ...whyTable(decision, 5),
        ...exclusions(decision),
        ...(best === null ? [] : [clip([`  ${best}`], columns)]),
        ...limit,
      ])
    },
    explained: (decision, mover) => lines.block(whyUser(decision, mover, columns)),
  }
}

async function runPlain(settings: Settings): Promise<void> {
  const opening = openingOf(settings)
  const app = await App.open(opening)
  const columns = Math.min(stdout.columns ?? 100, 100)
  const lines = new PlainView((text) => stdout.write(text), painter(stdout), app.startedAt, columns)
  app.show(plainView(app, lines, columns))
  const { books } = app.world
  const what = `${books.users.size} users on ${books.servers.size} servers on loopback, mode ${settings.mode}`
  lines.block([
    [['Pintail quickstart', 'strong'], `  ${what}`],
    [`Probing by ${app.probing}; a failure must last for ${duration(app.policy.detect.confirm?.durationMs ?? 0)} before anybody is moved`],
    ...(opening.durable ? [[`Kept in ${opening.durable.folder}: after kill -9 the next --durable goes on, within fifteen seconds`]] : []),
    ...(settings.once ? [] : [[['Keys from the input: 1-8 kill or revive, p pause, a approve, m mode, q quit', 'quiet']] as const]),
    [],
    ...fleetTable(books),
  ])
  await app.pintail.start()
  // One outage is over before anybody has opened a browser.
  const page = settings.once ? null : await servePage(app.pintail)
  if (page) lines.block([[pageText(page)]])
  try {
    if (settings.once) await tellOnce(app, lines)
    else await untilEnd(app, (take) => listen(stdin, app.serverIds.length, take))
  } finally {
    await page?.close()
    await app.stop()
  }
}

const pageText = ({ url, problem }: Page): string => (url ? `Dashboard: ${url}` : `No dashboard: ${problem}`)

async function tellOnce(app: App, lines: PlainView): Promise<void> {
  const result = await runOnce(app, ending.signal)
  const { outage, cause, checks } = result
  lines.block([...(outage ? [...resultTable(outage, cause, app.before, app.world.books), []] : []), ...checkLines(result)])
  if (!checks.every(({ ok }) => ok)) process.exitCode = 1
}

// ---------------------------------------------------------------------------------------------------------------- live

async function runScreen(settings: Settings): Promise<void> {
  const log: Entry[] = []
  let decision: DecisionRecord | null = null
  let mover: Mover | null = null
  let showWhy = false
  const app = await App.open(openingOf(settings))
  app.show({
    entry(entry) {
      log.push(entry)
      if (log.length > 200) log.shift()
    },
    progress() {},
    decided(made) {
      decision = made
      mover = null
    },
    explained(made, who) {
      if (decision?.id === made.id) mover = who
    },
  })
  const paint = painter(stdout)
  const screen = new Screen(stdout)
  const hasKeyboard = stdin.isTTY === true
  const draw = (): void => {
    const scene: Scene = {
      now: systemClock.now(),
      startedAt: app.startedAt,
      policy: app.policy,
      users: app.world.books.users.size,
      status: app.pintail.status(),
      outages: app.outages.list,
      log,
      decision,
      mover,
      showWhy,
      hasKeyboard,
    }
    screen.draw(render(scene, screen.size).map(paint))
  }
  // However this process ends, but for kill -9, the terminal is given back first, so that a last error can be read.
  process.on('uncaughtExceptionMonitor', () => screen.leave())
  process.on('exit', () => screen.leave())
  app.note('ready', 'quiet', `probing by ${app.probing}`)
  await app.pintail.start()
  const page = await servePage(app.pintail)
  app.note('page', page.url ? 'strong' : 'quiet', pageText(page))
  screen.enter()
  draw()
  const timer = setInterval(draw, 100)
  try {
    await untilEnd(app, (take) =>
      hasKeyboard
        ? listen(stdin, app.serverIds.length, (wish) => {
            if (wish.do === 'why') showWhy = !showWhy
            take(wish)
          })
        : { [Symbol.dispose]() {} },
    )
  } finally {
    clearInterval(timer)
    screen.leave()
    await page.close()
    await app.stop()
  }
  stdout.write(farewell(app.outages.list))
}

function farewell(outages: readonly Outage[]): string {
  const moved = outages.reduce((sum, { waits }) => sum + waits.length, 0)
  return `${outages.length} outage${outages.length === 1 ? '' : 's'}, ${moved} users moved.\n`
}

/** Carries out wishes until somebody ends it. */
async function untilEnd(app: App, open: (take: (wish: Wish) => void) => Disposable): Promise<void> {
  const done = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve(), { once: true }))
  using _keys = open((wish) => {
    perform(app, wish).catch((error) => {
      const remedy = isPintailError(error) && error.remedy ? ` ${error.remedy}` : ''
      app.note('sorry', 'warn', `${errorText(error)}.${remedy}`)
    })
  })
  if (!ending.signal.aborted) await done
}

async function perform(app: App, wish: Wish): Promise<void> {
  switch (wish.do) {
    case 'toggle':
      return app.toggle(wish.server)
    case 'pause':
      return app.pause()
    case 'approve':
      return app.approve()
    case 'mode':
      return app.switchMode()
    case 'why':
      return
    case 'quit':
      return end(0)
    default:
      return wish satisfies never
  }
}

async function main(): Promise<void> {
  const parsed = parse(process.argv.slice(2))
  if (parsed.do === 'help') return void stdout.write(help)
  if (parsed.do === 'refuse') {
    stderr.write(`quickstart: ${parsed.message}. ${parsed.remedy}\n`)
    process.exitCode = 2
    return
  }
  const { settings } = parsed
  watchSignals(settings.once)
  const live = stdout.isTTY === true && process.env.TERM !== 'dumb' && !settings.plain && !settings.once
  try {
    await (live ? runScreen(settings) : runPlain(settings))
  } catch (error) {
    // An interrupted story ends in an abort; its exit code is set already.
    if (ending.signal.aborted) return
    throw error
  }
}

await main()
