import { run } from '../src/program.ts'

export interface Answer {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** One command line in this process, as on a pipe unless told otherwise. */
export async function pintail(argv: readonly string[], env: Record<string, string> = {}, isTerminal = false): Promise<Answer> {
  let out = ''
  let err = ''
  const code = await run(argv, {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    isTerminal,
    columns: 100,
    env,
  })
  return { code, out, err }
}
