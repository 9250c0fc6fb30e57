import type { Tally } from './report.ts'

/** What a step found: nothing wrong, perhaps with a word on it, or what is wrong and how to mend it. */
export type Finding = { ok: true; note?: string } | { ok: false; problem: string; remedy?: string }

/** `needs` names an earlier step, without whose success this one means nothing. */
export type Step = { name: string; needs?: string; run: () => Promise<Finding> | Finding }

/** Runs every step, also after a failed one. A step that could not run counts as failed: nothing is passed over in silence. */
export async function runSteps(steps: readonly Step[], print: (line: string) => void = console.log): Promise<Tally> {
  const passed = new Set<string>()
  const failed: string[] = []
  for (const step of steps) {
    const begin = performance.now()
    const finding = await perform(step, passed)
    const seconds = ((performance.now() - begin) / 1000).toFixed(1)
    if (finding.ok) {
      passed.add(step.name)
      print(`✓ ${step.name} (${seconds} s)${finding.note ? `: ${finding.note}` : ''}`)
    } else {
      failed.push(step.name)
      print(`✗ ${step.name} (${seconds} s)`)
      print(indent(shortened(finding.problem)))
      if (finding.remedy) print(indent(`remedy: ${finding.remedy}`))
    }
  }
  print(failed.length === 0 ? `all ${steps.length} steps passed` : `failed: ${failed.join(', ')}`)
  return { passed: passed.size, failed: failed.length, skipped: 0 }
}

async function perform(step: Step, passed: ReadonlySet<string>): Promise<Finding> {
  if (step.needs && !passed.has(step.needs)) return { ok: false, problem: `not run, because "${step.needs}" failed` }
  try {
    return await step.run()
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

const longest = 100

function shortened(problem: string): string {
  const lines = problem.trimEnd().split('\n')
  if (lines.length <= longest) return problem
  return [...lines.slice(0, longest), `… and ${lines.length - longest} more lines`].join('\n')
}

const indent = (text: string): string =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')
