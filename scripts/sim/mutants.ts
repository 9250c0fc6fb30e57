import type { FaultKind } from '@pintail/core/testing'

/**
 * Engines that are broken on purpose: a simulator that catches nothing proves nothing. Each replaces one piece of the
 * source while it is loaded; a piece that is not there exactly once is an error, so that no mutant goes stale unseen.
 */
export interface Mutant {
  readonly name: string
  /** What is broken, in words. */
  readonly breaks: string
  /** Relative to `packages/core/src`. */
  readonly file: string
  readonly find: string
  readonly replace: string
  /** It is looked for in worlds that begin with this kind of fault, because only there it does harm. Default: in all. */
  readonly kind?: FaultKind
}

/** Each is noticed in one of the first so many worlds. */
export const mutantSeeds = 200

export const mutants: readonly Mutant[] = [
  {
    name: 'one-epoch-for-all',
    breaks: 'a grant and its taking back carry the same epoch',
    file: 'engine/term.ts',
    find: '() => ++this.#epoch',
    replace: '() => (this.#epoch = 1)',
  },
  {
    name: 'rollback-onto-a-dead-server',
    breaks: 'whoever has moved off a dead server is brought back to it when the target fails',
    file: 'books/books.ts',
    find: "    return verdict === 'up' || (verdict === 'suspect' && !this.incidents.covering(id, audience))\n",
    replace: '    return true\n',
  },
  {
    name: 'revoke-before-grant',
    breaks: 'the old grant is taken back before the new one is made',
    file: 'moving/migrator.ts',
    find: "await this.#call('move', granted, (ctx) => this.#mover.move(",
    replace:
      "await this.#mover.complete?.(move, { signal: this.#killed })\n        await this.#call('move', granted, (ctx) => this.#mover.move(",
  },
  {
    name: 'token-not-carried',
    breaks: 'moves carry no fencing token',
    file: 'moving/migrator.ts',
    find: '      fencingToken,\n      epoch: 0,',
    replace: '      fencingToken: 0 as Token,\n      epoch: 0,',
  },
  {
    name: 'guard-after-the-batch',
    breaks: 'guards are asked for a batch, and not again before each move',
    file: 'moving/migrator.ts',
    find: '      isForbidden(from.id, migration.reason, this.#audience(migration)) ||\n',
    replace: '',
    kind: 'operator.pauses',
  },
  {
    name: 'control-left-out',
    breaks: 'a server is evacuated although no other host has answered',
    file: 'decide/guard.ts',
    find: '  if (control && control.at >= Math.max(suspectedAt, failedSentAt - freshMs)) return null\n',
    replace: '  if (suspectedAt >= 0 || freshMs >= 0 || failedSentAt >= 0 || control) return null\n',
  },
  {
    name: 'counter-reset-early',
    breaks: 'the status counts as written before the registry has taken it (VPN Duck: a dead server stays in service)',
    file: 'engine/responder.ts',
    find: '      confirmed: false,\n',
    replace: '      confirmed: true,\n',
  },
  {
    name: 'release-twice',
    breaks: 'a reservation that ends frees a second place',
    file: 'books/books.ts',
    find: '  release(server: ServerId, connection: ConnectionId): void {\n    this.#reservations.get(server)?.delete(connection)\n',
    replace:
      '  release(server: ServerId, connection: ConnectionId): void {\n    const held = this.#reservations.get(server)\n    held?.delete(connection)\n    for (const other of held?.keys() ?? []) return void held?.delete(other)\n',
  },
  {
    name: 'release-too-early',
    breaks: 'a reservation ends with the confirmation, before any snapshot shows the user there',
    file: 'books/books.ts',
    find: '    if (held) held.confirmedAt = now\n',
    replace: '    if (held && now > 0) this.#reservations.get(server)?.delete(connection)\n',
  },
  {
    name: 'three-is-not-three',
    breaks: 'a server with the id 3 is not the one with the id "3"',
    file: 'rows.ts',
    find: '    if (isId(raw)) return { id: String(raw), raw: raw === 0 ? 0 : raw }\n',
    replace: '    if (isId(raw)) return { id: raw as string, raw: raw === 0 ? 0 : raw }\n',
  },
  {
    name: 'new-key-for-a-retry',
    breaks: 'the attempt rises without a confirmed rollback',
    file: 'moving/migrator.ts',
    find: 'attempt: record.attempt + (rolledBack ? 1 : 0)',
    replace: 'attempt: record.attempt + (rolledBack ? 1 : 1)',
    kind: 'mover.fails_rollback',
  },
  {
    name: 'resume-forgets-scheduled',
    breaks: 'a restart forgets what was only scheduled',
    file: 'engine/term.ts',
    find: '      books.put(migration)\n      for (const move',
    replace: "      if (migration.status === 'scheduled') continue\n      books.put(migration)\n      for (const move",
  },
  {
    name: 'takeover-reads-what-is-over',
    breaks: 'a new leader looks for its evacuations among those that are over',
    file: 'books/history.ts',
    find: "records.all('evacuation', { since: notOver })",
    replace: "records.all('evacuation', { since: notOver, status: ['completed', 'cancelled'] })",
  },
  {
    name: 'status-over-the-operators',
    breaks: "a recovered server is set online, whatever an operator's word is",
    file: 'decide/incident.ts',
    find: '  if (write && write.status === current && write.changedAt === null) return',
    replace: '  if (write?.previous) return',
  },
  {
    name: 'one-bad-user-fails-all',
    breaks: 'one user who cannot be moved fails his whole migration',
    file: 'moving/migrator.ts',
    find: '    if (run.moved === 0 && run.failed > 0) {',
    replace: '    if (run.failed > 0) {',
  },
  {
    name: 'timer-leak',
    breaks: 'the timer of a term outlives it',
    file: 'engine/term.ts',
    find: '    this.#timer?.cancel()\n',
    replace: '',
  },
  {
    name: 'recovery-cancels-nothing',
    breaks: 'moves go on after the recovery of their source',
    file: 'engine/responder.ts',
    find: 'const stopped = evacuation ? this',
    replace: 'const stopped = evacuation && evacuation.version < 0 ? this',
  },
  {
    name: 'verify-not-asked',
    breaks: 'a resolved call counts as moved, whatever the mover could verify',
    file: 'moving/migrator.ts',
    find: '    if (!this.#mover.verify) return null\n',
    replace: '    if (this.#mover !== null) return null\n',
    kind: 'mover.lies',
  },
  {
    name: 'call-before-intent',
    breaks: 'the mover is called before its intent is kept',
    file: 'moving/migrator.ts',
    find: "      await this.#journal.commit([put('move', record.id, record)], [{ type: 'move.started', at: now, data }])\n",
    replace: "      void this.#journal.commit([put('move', record.id, record)], [{ type: 'move.started', at: now, data }])\n",
  },
  {
    name: 'no-mass-failure-guard',
    breaks: 'half the fleet is evacuated when the prober has lost its way there',
    file: 'decide/guard.ts',
    find: '  if (down + suspect <= cap) return null\n',
    replace: '  if (down + suspect <= cap + servers) return null\n',
  },
  {
    name: 'pinned-users-move',
    breaks: 'pinned users are moved like all others',
    file: 'decide/ranking.ts',
    find: "  return connection.mobility === 'pinned' || (",
    replace: '  return (',
  },
  {
    name: 'reservations-not-counted',
    breaks: 'the load of a target is what the last list said, whoever is on the way',
    file: 'books/books.ts',
    find: '    return load === null ? null : load + this.reserved(server.id)\n',
    replace: '    return load\n',
  },
  {
    name: 'no-grace',
    breaks: 'the grant on a living source is taken back at once',
    file: 'moving/revoker.ts',
    find: '      const dueAt = safe ? now : now + this.#books.policy.migration.revokeGraceMs\n',
    replace: '      const dueAt = safe ? now : now\n',
  },
  {
    name: 'lease-not-asked',
    breaks: 'a late leader goes on moving',
    file: 'engine/term.ts',
    find: '    return !this.#stopping.signal.aborted && this.#mayCall(timeoutMs) ? this.lease.token : null\n',
    replace: '    return this.#stopping.signal.aborted || timeoutMs < 0 ? null : this.lease.token\n',
  },
  {
    name: 'decision-without-evidence',
    breaks: 'the decision does not say by which samples',
    file: 'decide/records.ts',
    find: '    evidence: incident?.evidence ?? [],\n',
    replace: '    evidence: [],\n',
  },
  {
    name: 'unclear-is-failed',
    breaks: 'a call without an answer counts as one without an effect',
    file: 'moving/migrator.ts',
    find: '          unclearAt = this.#clock.now()\n          const located = await this.#locate(move)\n',
    replace: "          const located = 'on_source' as Located | null\n",
  },
  {
    name: 'cancel-is-forgotten',
    breaks: 'a cancelled evacuation plans anew',
    file: 'engine/evacuator.ts',
    find: "    if (evacuation.cancelledWhy !== null) return this.#finish(evacuation, 'cancelled')\n",
    replace: '',
  },
  {
    name: 'cordon-in-the-middle',
    breaks: 'a cordon is not heard while moves run',
    file: 'moving/migrator.ts',
    find: '    else if (this.#books.isCordoned(run.to.id))',
    replace: '    else if (this.#books.isCordoned(run.from.id) && run.from.id === run.to.id)',
  },
  {
    name: 'rude-listeners-hurt',
    breaks: 'what a listener throws reaches the engine',
    file: 'telling/bus.ts',
    find: '      } catch (error) {\n        failed(error)\n',
    replace: '      } catch (error) {\n        failed(error)\n        throw error\n',
  },
  {
    name: 'canary-ignored',
    breaks: 'servers are judged, and users moved, while no canary answers',
    file: 'watch/witness.ts',
    find: '    return canaries > 0 && this.#canariesFailing.size >= canaries\n',
    replace: '    return canaries < 0\n',
  },
  {
    name: 'share-left-without-evidence',
    breaks: 'a server that another engine is to look at is left to it also while that one sees nothing, or sees it down',
    file: 'members/roster.ts',
    find: '    return !this.#parts.witness().isSeenUp(book, member.vantage)\n',
    replace: '    return false\n',
  },
  {
    name: 'suspect-counted-as-up',
    breaks: 'the mass-failure guard counts only what is confirmed: a wave of failures passes it one by one',
    file: 'decide/guard.ts',
    find: '  if (down + suspect <= cap) return null\n',
    replace: '  if (down <= cap) return null\n',
  },
  {
    name: 'audience-moves-all',
    breaks: 'what is down for one region moves the users of all',
    file: 'decide/plan.ts',
    find: '      if (audience !== null && audienceOf(connection.region, world.regions) !== audience) continue\n',
    replace: '',
  },
  {
    name: 'audience-sets-the-status',
    breaks: 'a server that is down for one region is set offline for all',
    file: 'engine/responder.ts',
    find: '    if ((incident.audience ?? null) !== null) return\n',
    replace: '',
  },
  {
    name: 'vote-without-control',
    breaks: 'a vantage votes against servers though nobody answers it: it may be the broken one',
    file: 'watch/vantages.ts',
    find: "  if (verdict === 'down' && !proof)\n",
    replace: "  if (verdict === 'down' && !proof && since < 0)\n",
  },
  {
    name: 'planned-anew-at-execution',
    breaks: 'a plan that is carried out is made anew: what was looked at is not what is done',
    file: 'engine/planner.ts',
    find: '{ ...scope, ...(looked && { keep: looked.assignments }) }',
    replace: '{ ...scope, refusals: new Map([...(looked?.assignments ?? [])].map(([id, to]) => [id, new Set([to])])) }',
    kind: 'operator.executes_a_plan',
  },
  {
    name: 'differences-not-named',
    breaks: 'a plan that is refused does not say what has changed',
    file: 'engine/planner.ts',
    find: "if (changes.length > 0) throw stalePlan(changes.map((message) => ({ path: 'plan', message })))",
    replace: 'if (changes.length > 0) throw stalePlan()',
    kind: 'operator.executes_a_plan',
  },
  {
    name: 'advice-without-a-reserve',
    breaks: 'a server is given back however little stays free',
    file: 'advise/advice.ts',
    find: '  return left > 0 ? Math.max(0, 1 - there / left) : 0\n',
    replace: '  return left > 0 ? Math.max(1, 1 - there / left) : 1\n',
  },
]

/** The source with the mutant in it. @throws Error if the piece is not there exactly once */
export function mutate(source: string, mutant: Mutant): string {
  const pieces = source.split(mutant.find)
  if (pieces.length !== 2) throw new Error(`mutant ${mutant.name}: its piece is ${pieces.length - 1} times in ${mutant.file}, not once`)
  return pieces.join(mutant.replace)
}
