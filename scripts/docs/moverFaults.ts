import { PintailError } from '@pintail/core'
import type { Stage } from '../../packages/core/src/testing/sim/scenario.ts'
import { type Fault, lasts } from './faultWorld.ts'

const never = (): Promise<never> => new Promise(() => {})
const loseAnswer = (work: () => Promise<unknown>): Promise<unknown> => work().then(never)
const refuse = async (): Promise<never> => {
  throw new PintailError('rejected', 'the panel says no')
}
const fail = async (): Promise<never> => {
  throw new Error('internal server error')
}
const withoutAnswers = { migration: { timeoutMs: 5000 } }
/** One try, and no other. */
const once = { migration: { timeoutMs: 5000, moveTries: 1, maxRetries: 0 } }
const forGood = 86_400

export interface Phase {
  readonly title: string
  readonly faults: readonly Fault[]
}

export const calm: Fault = { what: 'no fault', strike: () => {} }

const preparing: Phase = {
  title: 'preparing',
  faults: [
    { what: '`prepare` refuses at one target', strike: (stage) => stage.refusePreparation('s2') },
    { what: '`prepare` refuses everywhere', strike: (stage) => stage.meet('prepare', lasts, refuse) },
    { what: '`prepare` is unavailable', strike: (stage) => stage.fault('mover.fails_prepare', lasts) },
    { what: '`prepare` hangs', strike: (stage) => stage.meet('prepare', lasts, never) },
    { what: '`prepare` is done, its answer is lost', strike: (stage) => stage.meet('prepare', lasts, loseAnswer) },
    { what: 'the leader is killed while it prepares', strike: (stage) => stage.crashAt('prepare', 'after'), world: { engines: 2 } },
  ],
}

const transferring: Phase = {
  title: 'transferring',
  faults: [
    {
      what: '`move` refuses one user everywhere, for good',
      strike: (stage) => stage.refuse('s1-5'),
      breaks: { drain: ['moved'], failure: ['moved'] },
    },
    {
      what: '`move` refuses everybody at one target, for good',
      strike: (stage) => stage.meet('move', forGood, (work, move) => (move?.to.id === 's2' ? refuse() : work())),
    },
    {
      what: '`move` refuses everybody everywhere',
      strike: (stage) => stage.meet('move', lasts, refuse),
      breaks: { drain: ['moved'], failure: ['moved'] },
    },
    { what: '`move` is unavailable', strike: (stage) => stage.fault('mover.is_unavailable', lasts) },
    { what: '`move` fails with an unknown error', strike: (stage) => stage.fault('mover.fails_unclearly', lasts) },
    { what: '`move` hangs', strike: (stage) => stage.fault('mover.hangs', lasts), world: { policy: withoutAnswers } },
    {
      what: '`move` is done, its answer is lost',
      strike: (stage) => stage.fault('mover.times_out_after_success', lasts),
      world: { policy: withoutAnswers },
    },
    { what: '`move` fails half-way', strike: (stage) => stage.fault('mover.fails_halfway', lasts) },
    { what: '`move` lies; `verify` finds it', strike: (stage) => stage.fault('mover.lies', lasts) },
    {
      what: '`move` lies, and there is no `verify`',
      strike: (stage) => stage.fault('mover.lies', lasts),
      world: { panel: { has: ['prepare', 'complete', 'locate', 'rollback'] } },
      breaks: { drain: ['moved'], failure: ['moved'] },
    },
    {
      what: '`move` lies, and there is neither `verify` nor `locate`',
      strike: (stage) => stage.fault('mover.lies', lasts),
      world: { panel: { has: ['prepare', 'complete', 'rollback'] } },
      breaks: { drain: ['served', 'moved'], failure: ['moved'] },
    },
    { what: '`move` takes effect twice', strike: (stage) => stage.fault('mover.duplicates', lasts) },
    {
      what: '`move` takes effect after it was given up',
      strike: (stage) => stage.fault('mover.arrives_late', lasts),
      world: { policy: once },
    },
    {
      what: '`move` takes effect after it was given up, and there is no fencing',
      strike: (stage) => stage.fault('mover.arrives_late', lasts),
      world: { policy: once, panel: { fencing: 'none' } },
    },
    { what: '`verify` says no', strike: (stage) => stage.fault('mover.fails_verify', lasts) },
    {
      what: '`verify` says no at one target, for good',
      strike: (stage) => stage.meet('verify', forGood, async (work, move) => move?.to.id !== 's2' && work()),
    },
    { what: '`verify` fails', strike: (stage) => stage.meet('verify', lasts, fail) },
    {
      what: 'one target dies when the first of its users has moved',
      strike: half,
      world: { policy: { migration: { concurrency: 1 } }, panel: { latencyMs: 15_000 } },
    },
    { what: '`ClientNotifier.deliver` fails', strike: (stage) => stage.fault('notifier.fails', lasts), world: { notifier: true } },
    { what: 'the leader is killed before a call of `move`', strike: (stage) => stage.crashAt('move', 'before', 4), world: { engines: 2 } },
    {
      what: 'the leader is killed between the effect of `move` and its answer',
      strike: (stage) => stage.crashAt('move', 'after', 4),
      world: { engines: 2 },
    },
  ],
}

function half(stage: Stage): void {
  let calls = 0
  stage.meet('move', forGood, (work, move) => {
    if (move?.to.id === 's2' && ++calls === 2) stage.kill('s2')
    return work()
  })
}

const completing: Phase = {
  title: 'completing',
  faults: [
    { what: '`complete` fails', strike: (stage) => stage.fault('mover.fails_complete', lasts) },
    { what: '`complete` hangs', strike: (stage) => stage.meet('complete', lasts, never) },
    { what: '`complete` is done, its answer is lost', strike: (stage) => stage.meet('complete', lasts, loseAnswer) },
    {
      what: 'the leader is killed when its migration completes',
      strike: (stage) => stage.when('completing', () => stage.crash()),
      world: { engines: 2 },
    },
    {
      what: 'the leader is killed between the effect of `complete` and its answer',
      strike: (stage) => stage.crashAt('complete', 'after', 4),
      world: { engines: 2 },
    },
  ],
}

const sayNo = (stage: Stage): void => stage.fault('mover.fails_verify', lasts)

const rollingBack: Phase = {
  title: 'rolling back',
  faults: [
    {
      what: '`verify` says no, `rollback` fails',
      strike: (stage) => {
        sayNo(stage)
        stage.fault('mover.fails_rollback', lasts)
      },
    },
    {
      what: '`verify` says no, `rollback` hangs',
      world: { policy: withoutAnswers },
      strike: (stage) => {
        sayNo(stage)
        stage.meet('rollback', lasts, never)
      },
    },
    {
      what: '`verify` says no, `rollback` is done, its answer is lost',
      world: { policy: withoutAnswers },
      strike: (stage) => {
        sayNo(stage)
        stage.meet('rollback', lasts, loseAnswer)
      },
    },
    {
      what: 'there is no `rollback`, and `verify` says no',
      strike: sayNo,
      world: { panel: { has: ['prepare', 'complete', 'locate', 'verify'] } },
      breaks: { drain: ['single'], failure: ['single'] },
    },
    {
      what: '`move` fails half-way, `locate` is unavailable',
      strike: (stage) => {
        stage.fault('mover.fails_halfway', lasts)
        stage.fault('mover.fails_locate', lasts)
      },
    },
    {
      what: 'the answer of `move` is lost, `locate` is unavailable',
      world: { policy: withoutAnswers },
      strike: (stage) => {
        stage.fault('mover.times_out_after_success', lasts)
        stage.fault('mover.fails_locate', lasts)
      },
    },
    {
      what: '`move` fails half-way, `locate` and `rollback` fail',
      breaks: { drain: ['single'], failure: ['single'] },
      strike: (stage) => {
        stage.fault('mover.fails_halfway', lasts)
        stage.fault('mover.fails_locate', lasts)
        stage.fault('mover.fails_rollback', lasts)
      },
    },
    {
      what: '`verify` says no, the leader is killed between the effect of `rollback` and its answer',
      world: { engines: 2 },
      strike: (stage) => {
        sayNo(stage)
        stage.crashAt('rollback', 'after', 4)
      },
    },
  ],
}

export const phases: readonly Phase[] = [preparing, transferring, completing, rollingBack]
