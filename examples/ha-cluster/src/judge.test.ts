import { expect, test } from 'vitest'
import { losses, parseLedger, type Reality } from './judge.ts'

const fine: Reality = {
  homes: new Map([
    ['anna', 'de-1'],
    ['ben', 'nl-1'],
  ]),
  owed: new Set(),
  grants: new Map([
    ['de-1', ['anna']],
    ['nl-1', ['ben']],
  ]),
  dead: ['de-2'],
  ledger: parseLedger('grant de-2 anna 1 2\ngrant nl-1 ben 1 2\ngrant de-1 anna 1 4\nrevoke de-2 anna 1 5\n'),
}

test('where all is well nothing is lost', () => {
  expect(losses(fine, 2)).toEqual([])
})

test('each thing that can be wrong is named', () => {
  const wrong = (more: Partial<Reality>): string => losses({ ...fine, ...more }, 2).join('; ')
  expect(losses(fine, 3).join()).toContain('2 of 3 users')
  expect(wrong({ dead: ['de-1'] })).toContain('1 users at home on a dead server (anna)')
  expect(wrong({ grants: new Map([['de-1', ['anna']]]) })).toContain('1 users without access at home (ben)')
  expect(wrong({ grants: new Map([...fine.grants, ['de-2', ['anna']]]) })).toContain('1 grants that nobody knows of (anna on de-2)')
  expect(wrong({ ledger: [...fine.ledger, ...parseLedger('grant de-1 anna 1 3')] })).toContain('came too late')
  expect(wrong({ ledger: fine.ledger.slice(0, 2) })).toContain('without a line in the ledger (anna de-1)')
  expect(wrong({ ledger: [...fine.ledger, ...parseLedger('revoke de-1 anna 2 1')] })).toContain('do not hold')
})

test('a grant that the books want gone is no loss', () => {
  const grants = new Map([...fine.grants, ['nl-2', ['anna']]])
  const ledger = [...fine.ledger, ...parseLedger('grant nl-2 anna 1 2')]
  expect(losses({ ...fine, grants, ledger }, 2)).not.toEqual([])
  expect(losses({ ...fine, grants, ledger, owed: new Set(['anna nl-2']) }, 2)).toEqual([])
})

test('a ledger that cannot be read is no empty one', () => {
  expect(() => parseLedger('grant de-1 anna')).toThrow('a line that is none')
})
