import { type CallContext, PintailError } from '@pintail/core'
import type { Command, CommandTransport, Result, WorkerEvent } from '../../../packages/adapters/src/regions/index.ts'
import { parseCommand } from '../../../packages/adapters/src/regions/index.ts'
import { encodeCommand } from '../../../packages/adapters/src/regions/messages.ts'
import type { Process } from '../../../packages/core/src/testing/sim/process.ts'
import type { World } from '../../../packages/core/src/testing/sim/world.ts'

/** A command in the stream. */
export interface Kept {
  readonly bytes: Uint8Array
  readonly region: string
  readonly serverId: string
  readonly key: string
  readonly storedAt: number
  deliveries: number
  /** Not given to a worker before. */
  dueAt: number
  /** With a worker since; null: it waits. */
  isOut: boolean
}

const duplicateWindowMs = 120_000

/** A broker in virtual time: a stream of commands, and answers that may get lost. The faults of the panel are its faults. */
export class VirtualBroker {
  readonly stream: Kept[] = []
  readonly #world: World
  readonly #timeoutMs: number
  readonly #results = new Map<string, { readonly process: Process; readonly listeners: Set<(result: Result) => void> }>()
  readonly #events = new Map<(event: WorkerEvent) => void, Process>()
  readonly #seen = new Map<string, { readonly at: number; readonly kept: Kept }>()
  /** To be called when something new waits. */
  onKept: (kept: Kept) => void = () => {}
  /** A mutant: full syncs do not say whom to leave. */
  forgetsLeave = false
  published = 0

  constructor(world: World, timeoutMs: number) {
    this.#world = world
    this.#timeoutMs = timeoutMs
  }

  /** For one engine: what it publishes and hears ends with its process. */
  transportOf(process: Process): CommandTransport {
    const replyTo = `reply.${process.name}`
    const listeners = new Set<(result: Result) => void>()
    this.#results.set(replyTo, { process, listeners })
    return {
      replyTo,
      publish: (command, ctx) => process.call(() => this.#publish(this.#mutated(command), ctx)),
      onResult: (listener) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
      onEvent: (listener) => {
        this.#events.set(listener, process)
        return () => void this.#events.delete(listener)
      },
      close: async () => {},
    }
  }

  #mutated(command: Command): Command {
    if (!this.forgetsLeave || command.type !== 'access.sync') return command
    return { ...command, payload: { ...(command.payload as object), leave: [] } }
  }

  async #publish(command: Command, _: CallContext): Promise<void> {
    const world = this.#world
    world.calls++
    await world.wait(1 + world.random() * 20)
    if (world.strikes('mover.is_unavailable')) throw new PintailError('unavailable', 'the broker is restarting')
    const isUnclear = world.strikes('mover.fails_unclearly')
    // The client keeps what it cannot send, and sends it when nobody waits for it any more.
    if (world.strikes('mover.hangs')) {
      void world.wait(this.#timeoutMs * 3 * world.random()).then(() => this.#keep(command))
      await world.wait(this.#timeoutMs * 3)
      throw new Error('no answer of the broker')
    }
    if (!isUnclear || world.random() < 0.5) this.#keep(command)
    if (isUnclear) throw new Error('no answer of the broker')
  }

  #keep(command: Command): void {
    const world = this.#world
    const seen = this.#seen.get(command.idempotencyKey)
    // As the broker and the transport over it do: what waits is not kept twice, what was taken is kept anew.
    if (seen && world.now - seen.at < duplicateWindowMs && this.stream.includes(seen.kept)) return
    const late = world.strikes('mover.arrives_late') ? this.#timeoutMs * (1 + world.random() * 0.9) : 0
    const jumbled = world.strikes('mover.lies') ? world.random() * 3000 : 0
    const kept = this.#add(command, late + jumbled)
    this.#seen.set(command.idempotencyKey, { at: world.now, kept })
    if (world.strikes('mover.duplicates')) this.#add(command, world.random() * this.#timeoutMs)
  }

  #add(command: Command, delayMs: number): Kept {
    const world = this.#world
    const { region, serverId, idempotencyKey: key } = command
    const dueAt = world.now + delayMs + 1 + world.random() * 20
    const kept: Kept = {
      bytes: encodeCommand(command),
      region,
      serverId,
      key,
      storedAt: world.clock.now(),
      deliveries: 0,
      dueAt,
      isOut: false,
    }
    this.stream.push(kept)
    this.published++
    this.onKept(kept)
    return kept
  }

  drop(kept: Kept): void {
    const index = this.stream.indexOf(kept)
    if (index >= 0) this.stream.splice(index, 1)
  }

  /** Everything that waits is lost; nobody has taken it. */
  wipe(): void {
    this.stream.length = 0
    this.#seen.clear()
  }

  answer(replyTo: string, result: Result): void {
    const world = this.#world
    if (world.strikes('mover.times_out_after_success')) return
    const to = this.#results.get(replyTo)
    const delayMs = 1 + world.random() * 20 + (world.strikes('mover.lies') ? world.random() * 1000 : 0)
    const hear = (): void => {
      for (const listener of to?.listeners ?? []) listener(result)
    }
    world.clock.setTimeout(() => to?.process.run(hear), delayMs)
  }

  tell(event: WorkerEvent): void {
    for (const [listener, process] of [...this.#events])
      if (process.dead) this.#events.delete(listener)
      else this.#world.clock.setTimeout(() => process.run(() => listener(event)), 1 + this.#world.random() * 20)
  }

  commandOf({ bytes }: Kept): Command {
    return parseCommand(bytes)
  }
}
