import type { DetectPolicy } from '../vocabulary.ts'

/** The vantage of this engine, as its options say. */
export interface OwnVantage {
  readonly name: string
  readonly region: string | null
}

/** `place` is the name that the host gave its engine: those of one name stand in one place. Without it a vantage is a place of its own. */
export type Vantages = Readonly<Record<string, { readonly region?: string; readonly place?: string }>>

/** Where there are vantages: our own, those that the policy names, and those of other engines. Each answer is kept while nothing changes. */
export class Places {
  readonly #own: OwnVantage
  #all: { readonly named: Vantages; readonly members: Vantages; readonly all: Vantages } | null = null
  #regions: { readonly of: Vantages; readonly regions: ReadonlySet<string> } | null = null
  /** Of other engines over the same store, by name; replaced, never changed. */
  members: Vantages = {}

  constructor(own: OwnVantage) {
    this.#own = own
  }

  /** With the region that the policy gives it, if the options do not. */
  own({ vantages }: DetectPolicy): OwnVantage {
    const { name, region } = this.#own
    return { name, region: region ?? (Object.hasOwn(vantages, name) ? vantages[name]?.region : null) ?? null }
  }

  /** All that are elsewhere. */
  elsewhere({ vantages: named }: DetectPolicy): Vantages {
    const { members } = this
    if (this.#all?.named !== named || this.#all.members !== members)
      this.#all = { named, members, all: Object.keys(members).length === 0 ? named : { ...members, ...named } }
    return this.#all.all
  }

  /** Regions with a vantage of their own, healthy or not. */
  regions(detect: DetectPolicy): ReadonlySet<string> {
    const of = this.elsewhere(detect)
    if (this.#regions?.of !== of) {
      const regions = [this.own(detect).region, ...Object.values(of).map(({ region }) => region)].flatMap((region) => region ?? [])
      this.#regions = { of, regions: new Set(regions) }
    }
    return this.#regions.regions
  }
}
