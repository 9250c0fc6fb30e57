import Table from 'cli-table3'
import picocolors from 'picocolors'
import type { Terminal } from './io.ts'

export type Paint = ReturnType<typeof picocolors.createColors>

/** Colours only where somebody looks, and not where NO_COLOR says otherwise (no-color.org). */
export function paintFor({ isTerminal, env }: Terminal): Paint {
  return picocolors.createColors(usesColor({ isTerminal, env }))
}

export const usesColor = ({ isTerminal, env }: Pick<Terminal, 'isTerminal' | 'env'>): boolean =>
  isTerminal && !env.NO_COLOR && env.TERM !== 'dumb'

export interface TableOptions {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly paint: Paint
  /** Columns of figures, counted from 0. */
  readonly right?: readonly number[]
}

/** Columns without lines between them, so that `awk` and eyes can read it. */
export function table({ head, rows, paint, right = [] }: TableOptions): string {
  const none = ''
  const edges = ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'] as const
  const inner = ['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'] as const
  const made = new Table({
    head: head.map((text) => paint.bold(text)),
    colAligns: head.map((_, index) => (right.includes(index) ? 'right' : 'left')),
    chars: { ...Object.fromEntries([...edges, ...inner].map((name) => [name, none])), middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  made.push(...rows.map((row) => [...row]))
  return `${made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`
}

export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`

/** A process that ends with this code, after its message, if it has one, has been written. */
export class Exit extends Error {
  readonly code: number

  constructor(code: number, message = '') {
    super(message)
    this.code = code
  }
}

/** Cut to at most so many columns, with an ellipsis where something is missing. */
export function clip(text: string, most: number): string {
  const all = [...text]
  return all.length <= most ? text : `${all.slice(0, Math.max(0, most - 1)).join('')}…`
}

/** Words into lines of at most so many columns, all but the first indented; a longer word stands alone. */
export function wrap(text: string, columns: number, indent: number): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    const wide = columns - (lines.length > 1 ? indent : 0)
    if (last !== undefined && [...last].length + 1 + [...word].length <= wide) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.join(`\n${' '.repeat(indent)}`)
}
