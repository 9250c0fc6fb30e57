import { expect, test } from 'vitest'
import { checkAnnounced, packagesOf } from './changesets.ts'

const changeset = (...lines: string[]) => ['---', ...lines, '---', '', 'Something'].join('\n')

test('a changeset names packages in either quotes or none, in its front matter alone', () => {
  const text = `${changeset(`"@pintail/core": minor`, `'@pintail/adapters': patch`, 'plain: major')}\n"@pintail/other": minor\n`
  expect([...packagesOf(text)]).toEqual([
    ['@pintail/core', 'minor'],
    ['@pintail/adapters', 'patch'],
    ['plain', 'major'],
  ])
})

test('an empty changeset names nothing', () => {
  expect(packagesOf('---\n---\n').size).toBe(0)
})

const surface = (current: string, snapshot?: string) => ({
  name: '@pintail/core',
  current,
  released: snapshot === undefined ? undefined : { tag: '@pintail/core@1.0.0', snapshot },
})

test('an unchanged surface needs no changeset', () => {
  expect(checkAnnounced([surface('a', 'a')], [])).toEqual({ ok: true })
})

test('a changed surface needs a changeset that names this very package', () => {
  expect(checkAnnounced([surface('b', 'a')], [changeset('"@pintail/adapters": minor')])).toMatchObject({
    ok: false,
    problem: '@pintail/core: its surface differs from @pintail/core@1.0.0, and no changeset names it',
  })
  expect(checkAnnounced([surface('b', 'a')], [changeset('"@pintail/core": patch')])).toEqual({ ok: true })
})

test('a changeset that releases nothing announces nothing', () => {
  expect(checkAnnounced([surface('b', 'a')], [changeset('"@pintail/core": none')])).toMatchObject({ ok: false })
})

test('a package that was never released needs a changeset', () => {
  expect(checkAnnounced([surface('a')], [])).toMatchObject({ ok: false })
  expect(checkAnnounced([surface('a')], [changeset('"@pintail/core": minor')])).toEqual({ ok: true })
})
