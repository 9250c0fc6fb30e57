import { expect, test } from 'vitest'
import { errorText, isPintailError, PintailError, unsupported } from './errors.ts'

test('an error has a code for operators, a remedy, and a cause for developers', () => {
  const cause = new Error('ECONNREFUSED')
  const error = new PintailError('target_full', 'ams-2 has no free slot', { cause, remedy: 'Add a server.' })
  expect(error).toBeInstanceOf(Error)
  expect(error.name).toBe('PintailError')
  expect(String(error)).toBe('PintailError: ams-2 has no free slot')
  expect([error.code, error.message, error.remedy, error.cause, error.problems]).toEqual([
    'target_full',
    'ams-2 has no free slot',
    'Add a server.',
    cause,
    [],
  ])
})

test('without a message the code is the message; without a cause there is none, not even an empty one', () => {
  const error = new PintailError('rejected')
  expect([error.message, error.remedy]).toEqual(['rejected', undefined])
  expect('cause' in error).toBe(false)
})

test('a falsy cause is kept', () => {
  for (const cause of [null, 0, '', false]) expect(new PintailError('internal', 'x', { cause }).cause).toBe(cause)
})

test('isPintailError knows ours, with a code only that code', () => {
  const error = new PintailError('unavailable')
  expect(isPintailError(error)).toBe(true)
  expect(isPintailError(error, 'unavailable')).toBe(true)
  expect(isPintailError(error, 'rejected')).toBe(false)
})

test('the error of another copy of this package is recognised: adapters may bring their own', async () => {
  // Another URL of the same module is another instance of it.
  const path = './errors.ts?another-copy'
  const other: typeof import('./errors.ts') = await import(path)
  expect(other.PintailError).not.toBe(PintailError)
  const error = new other.PintailError('unavailable')
  expect(error).not.toBeInstanceOf(PintailError)
  expect(isPintailError(error, 'unavailable')).toBe(true)
})

test.each([undefined, null, 0, '', 'unavailable', Symbol('x'), {}, [], () => {}, new Error('unavailable')])(
  '%o is none of ours',
  (value) => {
    expect(isPintailError(value)).toBe(false)
  },
)

test('what only looks like one of ours is none: a code proves nothing about what has happened', () => {
  expect(isPintailError({ name: 'PintailError', code: 'unavailable', message: 'x' }, 'unavailable')).toBe(false)
  expect(isPintailError(Object.assign(new Error('x'), { code: 'unavailable' }), 'unavailable')).toBe(false)
})

class Silent extends Error {
  override get message(): string {
    throw new Error('gotcha')
  }
}

test.each([
  [new Error('plain'), 'plain'],
  [new TypeError(''), 'TypeError'],
  ['text', 'text'],
  [404, '404'],
  [undefined, 'undefined'],
  [null, 'null'],
  [Symbol('why'), 'Symbol(why)'],
  [{ toString: () => 'an object' }, 'an object'],
  [Object.create(null), 'something that has no text'],
  [new Silent(), 'something that has no text'],
  [Object.assign(new Error('x'), { message: { odd: true } }), '[object Object]'],
])('errorText never throws, whatever was thrown (%#)', (error, text) => {
  expect(errorText(error)).toBe(text)
})

test('errorText is one line without control characters, and at most 300 characters', () => {
  expect(errorText(new Error('first\r\n  second\tthird\u2028fourth'))).toBe('first second third fourth')
  expect(errorText('red \u001b[31malert\u0007 \u202egnp.exe\u0000')).toBe('red [31malert gnp.exe ')
  expect(errorText('x'.repeat(10_000))).toHaveLength(300)
})

test('what is typed and not built yet says with what it comes', () => {
  expect(unsupported('observe()', 'remote vantages')).toMatchObject({
    code: 'unsupported',
    message: 'observe() is not built yet',
    remedy: 'It comes with remote vantages.',
  })
})

test('credentials in the message of a client are masked', () => {
  const texts = [
    'connect ECONNREFUSED postgres://pintail:hunter2@db.example:5432/vpn',
    'redis://:hunter2@cache:6379 closed',
    'request failed: Authorization: Bearer hunter2.abc-def',
    'bad config {"password":"hunter2","host":"db"}',
    'login refused, api_key=hunter2&user=x',
    'PGPASSWORD=hunter2 psql: no',
    'private_key: hunter2',
  ]
  for (const text of texts) {
    expect(errorText(new Error(text)), text).not.toContain('hunter2')
    expect(errorText(new Error(text)), text).toContain('***')
  }
})

test('what is no credential stays readable', () => {
  for (const text of [
    'no reply from vpn1.example.net:51820',
    'user a@b.example has no active configuration',
    'tokens are fine: 3 left of 5',
  ])
    expect(errorText(new Error(text))).toBe(text)
})
