import { cpus, totalmem } from 'node:os'
import type { BenchLine, Measurement, Skipped } from './harness.ts'

export type Machine = { cpu: string; cores: number; memoryGb: number; node: string; kernel: string }

/** What a figure depends on, and nothing that names the machine. */
export function thisMachine(kernel: string): Machine {
  const all = cpus()
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    kernel,
  }
}

const titles = ['bench', 'case', 'metric', 'value', 'unit', 'peer', 'ratio', 'aim', 'ok'] as const

function cells(line: BenchLine): string[] {
  const { bench } = line
  const given: Partial<Measurement & Skipped> = line
  if (given.skipped !== undefined) return [bench, line.case, given.metric ?? '', `skipped: ${given.skipped}`, '', '', '', '', '']
  const { metric = '', value, unit = '', peer = '', ratio, aim = '', ok } = given
  const verdict = ok === undefined ? '' : ok ? 'yes' : 'NO'
  return [bench, line.case, metric, String(value), unit, peer, ratio === undefined ? '' : String(ratio), aim, verdict]
}

/** For the terminal: columns as wide as their widest cell. */
export function textTable(lines: readonly BenchLine[]): string {
  const rows = [[...titles], ...lines.map(cells)]
  const widths = titles.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** For bench/RESULTS.md. */
export function markdownResults(lines: readonly BenchLine[], machine: Machine, date: string): string {
  const escaped = (cell: string): string => cell.replaceAll('|', '\\|')
  const row = (of: readonly string[]): string => `| ${of.map(escaped).join(' | ')} |`
  return [
    '# Benchmark results',
    '',
    'Written by `npm run bench`; do not edit. Ratios carry over to other machines, absolute figures do not.',
    '',
    `- date: ${date}`,
    `- machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB`,
    `- software: Node ${machine.node}, kernel ${machine.kernel}`,
    '',
    row(titles),
    row(titles.map(() => '---')),
    ...lines.map((line) => row(cells(line))),
    '',
  ].join('\n')
}
