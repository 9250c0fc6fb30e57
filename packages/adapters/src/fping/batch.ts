import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { errorText, PintailError, type ProbeResult } from '@pintail/core'
import type { Check } from './check.ts'
import { readFpingLine } from './lines.ts'

export interface BatchSetting {
  readonly command: string
  /** Of all checks of the batch. */
  readonly packets: number
  /** What fping waits for each packet, whole milliseconds: at least as long as every check of the batch wants. */
  readonly waitMs: number
  /** Between two packets of the process, milliseconds. */
  readonly intervalMs: number
}

/** Packets to one host are this far apart, as those of `icmp()`. */
const spacingMs = 200

/** What the process may print that is none of its lines; beyond that it is no fping. */
const strangeBytes = 65_536
const readBytes = 262_144
// A reader that looks more often costs more than the packets; one that looks less often lets results lie.
const firstLookMs = 5
const lastLookMs = 40

/** How long a process lives that has a silent host in its list. */
export const lifeMs = ({ packets, waitMs, intervalMs }: BatchSetting, count: number): number =>
  Math.max((packets - 1) * spacingMs, count * packets * intervalMs) + waitMs

/** Several packets to one address: they are as many as its checks have together, and which is whose does not matter. */
interface Shared {
  readonly all: Check[]
  /** How many lines each packet number has had. */
  readonly told: number[]
}

/**
 * One fping process with its list of hosts. Each check is settled as soon as its last packet is, and the process is
 * killed with the last check; whatever goes wrong with it, the checks that are left end in `prober_unavailable`.
 *
 * It writes into a file that has no name any more, not into a pipe: one line a packet would wake this process once a
 * packet, and a pipe that is full while the event loop is busy would stop fping, and make living servers silent.
 */
export class Batch {
  readonly #setting: BatchSetting
  readonly #hosts = new Map<string, Check | Shared>()
  readonly #checks: readonly Check[]
  readonly #onEnd: () => void
  #open: number
  #child: ChildProcess | null = null
  #files: readonly number[] = []
  #look: NodeJS.Timeout | undefined
  #watchdog: NodeJS.Timeout | undefined
  #lookMs = firstLookMs
  #position = 0
  #rest = ''
  #strange = ''
  #summarised = false
  #ended = false

  constructor(setting: BatchSetting, checks: readonly Check[], onEnd: () => void) {
    this.#setting = setting
    this.#onEnd = onEnd
    this.#open = checks.length
    this.#checks = checks
    for (const check of checks) {
      const host = this.#hosts.get(check.address)
      if (host === undefined) this.#hosts.set(check.address, setting.packets === 1 ? check : { all: [check], told: [] })
      else if ('all' in host) host.all.push(check)
      else this.#hosts.set(check.address, { all: [host, check], told: [] })
    }
    try {
      this.#start(checks)
    } catch (cause) {
      // The caller does not have this batch yet.
      queueMicrotask(() => this.#fail(() => notStarted(setting.command, cause as NodeJS.ErrnoException)))
    }
  }

  /** One check waits no longer; without any the process is killed. */
  leave(): void {
    this.#open -= 1
    if (this.#open === 0) this.#end()
  }

  #start(checks: readonly Check[]): void {
    const { command, packets, waitMs, intervalMs } = this.#setting
    const input = namelessFile()
    this.#files = [input]
    const output = namelessFile()
    this.#files = [input, output]
    const list = Buffer.from(checks.map(({ address }) => `${address}\n`).join(''), 'latin1')
    // With a position, so that the process begins to read at the start of the file.
    for (let at = 0; at < list.length; ) at += writeSync(input, list, at, list.length - at, at)

    const args = ['-C', `${packets}`, '-p', `${spacingMs}`, '-t', `${waitMs}`, '-i', `${intervalMs}`, '-f', '-']
    // No word of it is translated, but its numbers might be.
    const child = spawn(command, args, { stdio: [input, output, output], env: { ...process.env, LC_ALL: 'C' } })
    this.#child = child
    child.on('error', (cause) => this.#fail(() => notStarted(command, cause)))
    child.on('exit', (code, signal) => this.#exited(signal ?? `code ${code}`))
    // It ends by itself; this is for one that does not.
    this.#watchdog = setTimeout(() => this.#hang(), lifeMs(this.#setting, checks.length) + 3000)
    this.#lookLater()
  }

  #lookLater(): void {
    this.#look = setTimeout(() => {
      const read = this.#read(readBytes)
      if (this.#ended) return
      this.#lookMs = read > 0 ? firstLookMs : Math.min(lastLookMs, this.#lookMs * 2)
      this.#lookLater()
    }, this.#lookMs)
  }

  /** Reads on and settles what can be settled. Answers how many bytes there were. */
  #read(limit: number): number {
    const output = this.#files[1] as number
    let total = 0
    while (total < limit && !this.#ended) {
      const count = readSync(output, shared, 0, shared.length, this.#position)
      if (count === 0) break
      this.#position += count
      total += count
      const lines = (this.#rest + shared.toString('latin1', 0, count)).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) {
        this.#take(line)
        if (this.#ended) return total
      }
      if (this.#rest.length > strangeBytes || this.#strange.length > strangeBytes) this.#fail(() => this.#noFping('prints too much'))
    }
    return total
  }

  #take(line: string): void {
    const read = readFpingLine(line)
    if (read.kind === 'packet') {
      const check = this.#whose(read.address, read.seq)
      // Of a host that it was not given, or more packets than it was to send.
      if (!check) return void this.#fail(() => this.#noFping('cannot be understood', line))
      check.settled += 1
      if (read.rttMs !== null && read.rttMs <= check.target.timeoutMs) {
        if (check.rttMs) check.rttMs.push(read.rttMs)
        else check.rttMs = [read.rttMs]
      }
      if (check.settled === this.#setting.packets) this.#settle(check, resultOf(check))
    } else if (read.kind === 'undelivered') {
      const host = this.#hosts.get(read.address)
      if (host) for (const check of 'all' in host ? host.all : [host]) check.undelivered ??= read.said
    } else if (read.kind === 'summary') this.#summarised = true
    else if (read.kind === 'unknown') this.#strange += `${line}\n`
  }

  /** The check that packet `seq` to this address belongs to, once for each packet; null: there is none. */
  #whose(address: string, seq: number): Check | null {
    const host = this.#hosts.get(address)
    if (host === undefined || seq >= this.#setting.packets) return null
    if (!('all' in host)) return host.settled === 0 ? host : null
    const nth = host.told[seq] ?? 0
    host.told[seq] = nth + 1
    return host.all[nth] ?? null
  }

  #settle(check: Check, outcome: ProbeResult | PintailError): void {
    if (!check.waits) return
    check.end(outcome)
    this.leave()
  }

  #exited(how: string): void {
    if (this.#ended) return
    while (this.#read(readBytes) > 0);
    if (this.#ended) return
    this.#strange += this.#rest
    // Only its own summary proves that it did its work.
    if (!this.#summarised) return void this.#fail(() => this.#noFping(`ended with ${how}`))
    // For a packet that could not leave this machine fping prints no line.
    for (const check of this.#checks) this.#settle(check, check.rttMs ? resultOf(check) : notSent(check.address))
    this.#end()
  }

  #hang(): void {
    // What it has printed while this process was busy counts.
    while (this.#read(readBytes) > 0);
    this.#fail(() => this.#noFping('had to be killed'))
  }

  #noFping(what: string, line = this.#strange): PintailError {
    const { command } = this.#setting
    const said = errorText(line.trim()) || 'it printed nothing of use'
    const remedy = /socket|root\?|permi|denied/i.test(said)
      ? permit
      : /risky|You need -i|must run as root to/i.test(said)
        ? slower
        : install
    return new PintailError('prober_unavailable', `${command} ${what}: ${said}`, { remedy })
  }

  #fail(error: () => PintailError): void {
    if (this.#ended) return
    // One error each: whoever gets it may add to it.
    for (const check of this.#checks) if (check.waits) check.end(error())
    this.#end()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    clearTimeout(this.#look)
    clearTimeout(this.#watchdog)
    this.#child?.kill('SIGKILL')
    this.#child?.unref()
    for (const file of this.#files) closeSync(file)
    this.#onEnd()
  }
}

// Used within one turn of the event loop only.
const shared = Buffer.allocUnsafeSlow(65_536)

/** Open for reading and writing, for its owner only, and gone when it is closed. */
function namelessFile(): number {
  const name = `pintail-fping-${randomUUID()}`
  let fault: unknown
  // Memory first: it is there, and can be written, in a container with a read-only root too.
  for (const folder of process.platform === 'linux' ? ['/dev/shm', tmpdir()] : [tmpdir()]) {
    try {
      const file = openSync(join(folder, name), 'wx+', 0o600)
      unlinkSync(join(folder, name))
      return file
    } catch (cause) {
      fault = cause
    }
  }
  throw new PintailError('prober_unavailable', `there is no place for the output of fping: ${errorText(fault)}`, {
    cause: fault,
    remedy: 'Let this process write to /dev/shm or to its temporary folder (TMPDIR).',
  })
}

function resultOf({ settled, rttMs, undelivered, target }: Check): ProbeResult {
  if (rttMs) return { sent: settled, received: rttMs.length, rttMs, failure: null }
  const failure = undelivered
    ? { kind: 'unreachable' as const, layer: 'icmp', detail: errorText(undelivered) }
    : { kind: 'no_reply' as const, layer: 'icmp', detail: `${settled} sent, nothing within ${target.timeoutMs} ms` }
  return { sent: settled, received: 0, rttMs: [], failure }
}

const install = 'Install fping 4 or newer on the machine that probes (Debian: apt-get install fping), or use icmp() or tcp().'
const permit =
  'Let fping open its socket: setcap cap_net_raw+ep on fping, give this process CAP_NET_RAW (systemd: AmbientCapabilities, ' +
  'Docker: cap_add NET_RAW), or widen net.ipv4.ping_group_range; or use tcp().'
const slower = 'This fping has limits for those who are not root: set packetsPerSecond to 100.'

function notSent(address: string): PintailError {
  return new PintailError('prober_unavailable', `fping could not send to ${address}`, {
    remedy: `This machine itself cannot send to ${address}: check its own network, routes and firewall, IPv6 too.`,
  })
}

function notStarted(command: string, cause: NodeJS.ErrnoException): PintailError {
  if (cause instanceof PintailError) return cause
  const { code = '' } = cause
  const what = code === 'ENOENT' ? `there is no program ${command} on the PATH` : `${command} did not start: ${cause.message}`
  const remedy = /^(EAGAIN|EMFILE|ENFILE|ENOMEM)$/.test(code)
    ? 'Raise the limits of this process (processes, open files, memory).'
    : code === 'ETXTBSY'
      ? 'It is being replaced: the next check starts the new one.'
      : /^(EPERM|EACCES)$/.test(code)
        ? permit
        : install
  return new PintailError('prober_unavailable', what, { cause, remedy })
}
