import type { VitestReport } from './leftOut.ts'

// Tests with real processes, sockets and disks run on machines that stand still whenever they like, for seconds. One that fails
// there is tried once more, its file alone, when all others have ended: what computes fails again, and so does what is broken.
// Nothing is hidden by it: who passed only then is named with its first failure at the end, and is a defect to be mended.

/** More files than this do not fail by chance. */
const mostFiles = 3
/** A random case that failed is a finding; the next random case says nothing about it. */
const foundAtRandom = 'Property failed after'

type TestFile = VitestReport['testResults'][number]

const failures = ({ assertionResults }: TestFile) => assertionResults.filter(({ status }) => status === 'failed')
const reasons = (file: TestFile): string[] => [
  file.message ?? '',
  ...failures(file).flatMap(({ failureMessages }) => failureMessages ?? []),
]

/** The paths of the files that are worth a second try; empty where nothing failed, too much did, or a random case was found. */
export function worthASecondTry({ testResults }: VitestReport): string[] {
  const failed = testResults.filter(({ status }) => status === 'failed')
  if (failed.length > mostFiles) return []
  if (failed.some((file) => reasons(file).some((reason) => reason.includes(foundAtRandom)))) return []
  return failed.flatMap(({ name }) => name ?? [])
}

/** The report with the files of the second try in the place of their first one. */
export function withSecondTry(first: VitestReport, second: VitestReport): VitestReport {
  const again = new Map(second.testResults.map((file) => [file.name, file]))
  return { testResults: first.testResults.map((file) => again.get(file.name) ?? file) }
}

/** One line for each test, or whole file, that failed first and did not the second time, with the first line of its failure. */
export function passedOnlyThen(first: VitestReport, second: VitestReport): string[] {
  const lines: string[] = []
  for (const file of first.testResults) {
    const again = second.testResults.find(({ name }) => name === file.name)
    if (file.status !== 'failed' || again?.status !== 'passed') continue
    const tests = failures(file)
    if (tests.length === 0) lines.push(told(file.name, 'the file', file.message))
    for (const { fullName, failureMessages } of tests) lines.push(told(file.name, fullName, failureMessages?.[0]))
  }
  return lines
}

const told = (file: string | undefined, test: string, message: string | undefined): string =>
  `passed only at the second try: ${file} › ${test}: ${(message ?? 'no message').split('\n', 1)[0]}`
