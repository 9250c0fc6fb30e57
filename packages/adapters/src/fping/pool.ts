import { PintailError } from '@pintail/core'
import { Batch, lifeMs } from './batch.ts'
import type { Check } from './check.ts'

export interface PoolSetting {
  readonly command: string
  /** Between two packets of one process, milliseconds. */
  readonly intervalMs: number
  /** How many may run at once. */
  readonly processes: number
}

/** Calls that come within this time share a process. */
const gatherMs = 4
/**
 * One process takes no more hosts. Two that send at full speed each fill the other's socket with replies, which the
 * kernel then drops; one with a long list does not.
 */
const mostHosts = 32_768
/** fping numbers its packets with 16 bits, and takes no number again for 10 s. */
const mostPackets = 60_000
/** Checks that wait for a process; beyond that somebody asks faster than this machine can. */
const mostWaiting = 500_000

/**
 * Gathers checks into few processes. Each fping is woken by the replies to all others (the kernel gives every raw
 * socket a copy), so many at once are dear: a process that waits for silent hosts makes its successors wait, the longer
 * the more hosts there are, at most until a share of its life is over.
 */
export class Pool {
  readonly #setting: PoolSetting
  readonly #groups = new Map<string, Group>()
  #running = 0
  #waiting = 0

  constructor(setting: PoolSetting) {
    this.#setting = setting
  }

  /** Sends a check on its way. Nothing happens with one that waits no longer when its turn comes. */
  add(check: Check): void {
    if (this.#waiting >= mostWaiting) {
      const remedy = 'Probe less often, or raise packetsPerSecond or processes.'
      return void check.end(new PintailError('prober_unavailable', `${this.#waiting} checks wait for fping`, { remedy }))
    }
    this.#waiting += 1
    const waitMs = roundedUp(check.target.timeoutMs)
    const { packets } = check.target
    const key = `${packets}/${waitMs}`
    let group = this.#groups.get(key)
    if (!group) {
      group = { key, packets, waitMs, waiting: [], running: new Map(), launchedAt: 0, timer: undefined }
      this.#groups.set(key, group)
    }
    group.waiting.push(check)
    this.#schedule(group)
  }

  #schedule(group: Group): void {
    if (group.timer || group.waiting.length === 0 || this.#running >= this.#setting.processes) return
    const delay = Math.max(gatherMs, group.launchedAt + this.#restMs(group) - performance.now())
    group.timer = setTimeout(() => {
      group.timer = undefined
      this.#launch(group)
      this.#schedule(group)
    }, delay)
  }

  /** How long after one process of a group the next one may start. */
  #restMs({ running, packets, waitMs }: Group): number {
    if (running.size === 0) return 0
    let hosts = 0
    for (const count of running.values()) hosts += count
    const { intervalMs } = this.#setting
    return Math.min(hosts / 4, (lifeMs({ command: '', packets, waitMs, intervalMs }, 1) * running.size) / 8)
  }

  #launch(group: Group): void {
    if (this.#running >= this.#setting.processes) return
    const most = Math.min(mostHosts, Math.floor(mostPackets / group.packets))
    const taken = group.waiting.splice(0, most)
    this.#waiting -= taken.length
    const checks = taken.filter(({ waits }) => waits)
    if (checks.length === 0) return void this.#forget(group)
    const { command, intervalMs } = this.#setting
    group.launchedAt = performance.now()
    this.#running += 1
    const batch = new Batch({ command, packets: group.packets, waitMs: group.waitMs, intervalMs }, checks, () => {
      this.#running -= 1
      group.running.delete(batch)
      this.#again(group)
    })
    group.running.set(batch, checks.length)
    for (const check of checks) check.batch = batch
  }

  /** A place is free: the next one may start earlier than was thought, and others that had none at all. */
  #again(group: Group): void {
    clearTimeout(group.timer)
    group.timer = undefined
    for (const one of [...this.#groups.values()]) this.#schedule(one)
    this.#forget(group)
  }

  #forget(group: Group): void {
    if (group.waiting.length === 0 && group.running.size === 0) this.#groups.delete(group.key)
  }
}

/** Checks that can share a process: as many packets, and as long to wait. */
interface Group {
  readonly key: string
  readonly packets: number
  readonly waitMs: number
  readonly waiting: Check[]
  readonly running: Map<Batch, number>
  launchedAt: number
  timer: NodeJS.Timeout | undefined
}

/**
 * Time-outs that are learnt for each server would need a process each. So fping waits a little longer than some want;
 * what came after a check's own time is lost all the same.
 */
function roundedUp(timeoutMs: number): number {
  const step = timeoutMs < 100 ? 5 : timeoutMs < 1000 ? 50 : 500
  return Math.ceil(timeoutMs / step) * step
}
