import { RequestProblem } from './problem.ts'

/** `a,b`: no id of a caller is empty. */
export function idsOf(list: string, path: string): readonly string[] {
  const ids = list.split(',')
  if (ids.length <= 200 && ids.every((one) => one !== '')) return ids
  throw new RequestProblem('invalid_request', {
    detail: 'A list of ids is not understood.',
    remedy: 'Give 1 to 200 ids, separated by commas.',
    errors: [{ path, message: 'must be 1 to 200 ids, separated by commas' }],
  })
}
