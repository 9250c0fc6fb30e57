/** How many may be inside at the same time; whoever comes later waits in the order of coming. */
export interface Gate {
  /** Resolves with what lets the next one in, to be called once or more; null: it was shut. */
  enter(): Promise<(() => void) | null> | (() => void) | null
  /** Whoever waits, and whoever comes, is turned away. */
  shut(): void
}

export function gate(most: number): Gate {
  const waiting: ((leave: (() => void) | null) => void)[] = []
  let inside = 0
  let isShut = false
  const admit = (): (() => void) => {
    inside += 1
    let isIn = true
    return () => {
      if (!isIn) return
      isIn = false
      inside -= 1
      if (inside < most) waiting.shift()?.(admit())
    }
  }
  return {
    enter: () => {
      if (isShut) return null
      return inside < most ? admit() : new Promise((resolve) => void waiting.push(resolve))
    },
    shut: () => {
      isShut = true
      for (const turnAway of waiting.splice(0)) turnAway(null)
    },
  }
}
