// What was lost: read from the books, from what is really on the servers, and from the ledger of every change. No engine is asked.

/** Who has access where, and how it came to be. */
export interface Reality {
  /** The home of each user, as the books say. */
  readonly homes: ReadonlyMap<string, string>
  /** Whom the books want gone from a server and no worker has confirmed it yet: `user server`. */
  readonly owed: ReadonlySet<string>
  /** Who is on each server. */
  readonly grants: ReadonlyMap<string, readonly string[]>
  /** Servers that are dead now. */
  readonly dead: readonly string[]
  readonly ledger: readonly Change[]
}

export interface Change {
  readonly what: 'grant' | 'revoke'
  readonly server: string
  readonly user: string
  readonly token: number
  readonly epoch: number
}

/** @throws Error for a line that is none */
export function parseLedger(text: string): Change[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [what, server = '', user = '', token, epoch] = line.split(' ')
      if ((what !== 'grant' && what !== 'revoke') || !/^\d+$/.test(`${token}${epoch}`))
        throw new Error(`the ledger has a line that is none: ${line}`)
      return { what, server, user, token: Number(token), epoch: Number(epoch) }
    })
}

/** Everything that is not as it should be, in words; none: nothing was lost. */
export function losses(reality: Reality, users: number): string[] {
  return [...counted(reality, users), ...homeless(reality), ...unlisted(reality), ...outOfOrder(reality), ...unexplained(reality)]
}

const some = (what: string, of: readonly string[]): string[] =>
  of.length === 0 ? [] : [`${of.length} ${what} (${of.slice(0, 3).join(', ')}${of.length > 3 ? ', …' : ''})`]

const counted = ({ homes }: Reality, users: number): string[] =>
  homes.size === users ? [] : [`the books have ${homes.size} of ${users} users`]

/** Each user has a home that lives, and access there. */
function homeless({ homes, grants, dead }: Reality): string[] {
  const on = new Map([...grants].map(([server, of]) => [server, new Set(of)]))
  const all = [...homes]
  return [
    ...some(
      'users at home on a dead server',
      all.filter(([, home]) => dead.includes(home)).map(([user]) => user),
    ),
    ...some(
      'users without access at home',
      all.filter(([user, home]) => !on.get(home)?.has(user)).map(([user]) => user),
    ),
  ]
}

/** Nobody has access elsewhere, unless the books say that it is still to be taken. */
function unlisted({ homes, grants, owed }: Reality): string[] {
  const extra = [...grants].flatMap(([server, of]) =>
    of.filter((user) => homes.get(user) !== server && !owed.has(`${user} ${server}`)).map((user) => `${user} on ${server}`),
  )
  return some('grants that nobody knows of', extra)
}

/** For one user on one server nothing older comes after something newer. */
function outOfOrder({ ledger }: Reality): string[] {
  const newest = new Map<string, Change>()
  const late: string[] = []
  for (const change of ledger) {
    const key = `${change.user} ${change.server}`
    const before = newest.get(key)
    if (before && (change.token < before.token || (change.token === before.token && change.epoch < before.epoch))) late.push(key)
    else newest.set(key, change)
  }
  return some('changes that came too late and were made all the same', late)
}

/** What is there is what the ledger's last line of it says. */
function unexplained({ ledger, grants }: Reality): string[] {
  const last = new Map(ledger.map(({ what, server, user }) => [`${user} ${server}`, what]))
  const there = new Set([...grants].flatMap(([server, of]) => of.map((user) => `${user} ${server}`)))
  const wrong = [...last].filter(([key, what]) => there.has(key) !== (what === 'grant')).map(([key]) => key)
  return [
    ...some(
      'grants without a line in the ledger',
      [...there].filter((key) => !last.has(key)),
    ),
    ...some('lines of the ledger that do not hold', wrong),
  ]
}
