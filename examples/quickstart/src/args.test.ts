import { expect, test } from 'vitest'
import { help, parse } from './args.ts'

test('without flags it runs live, in auto', () => {
  expect(parse([])).toEqual({ do: 'run', settings: { mode: 'auto', once: false, plain: false, durable: false } })
})

test('every flag is heard, in any order and both spellings', () => {
  expect(parse(['--plain', '--mode=suggest', '--once', '--durable'])).toEqual({
    do: 'run',
    settings: { mode: 'suggest', once: true, plain: true, durable: true },
  })
  expect(parse(['--mode', 'observe'])).toEqual({ do: 'run', settings: { mode: 'observe', once: false, plain: false, durable: false } })
  for (const flag of ['--help', '-h']) expect(parse([flag])).toEqual({ do: 'help' })
})

test('what cannot be meant is refused, with what to do instead', () => {
  const wrong: [string[], RegExp, RegExp][] = [
    [['--onec'], /unknown flag --onec/, /--once/],
    [['-x'], /unknown flag -x/, /--help/],
    [['ams-1'], /"ams-1"/, /--help/],
    [['--mode'], /--mode cannot be empty/, /auto, suggest, observe/],
    [['--mode', 'AUTO'], /"AUTO"/, /auto, suggest, observe/],
    [['--mode', '--once'], /--mode cannot be/, /auto, suggest, observe/],
    [['--once=yes'], /--once takes no value/, /alone/],
    [['--once', '--mode', 'observe'], /never end/, /auto or --mode suggest/],
  ]
  for (const [argv, message, remedy] of wrong) {
    const parsed = parse(argv)
    expect(parsed, argv.join(' ')).toMatchObject({ do: 'refuse' })
    if (parsed.do !== 'refuse') continue
    expect(parsed.message).toMatch(message)
    expect(parsed.remedy).toMatch(remedy)
  }
})

test('the help names every flag and fits into 100 columns', () => {
  for (const flag of ['--once', '--mode', '--plain', '--durable', '--help']) expect(help).toContain(flag)
  for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
})
