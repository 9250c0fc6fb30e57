import leven from 'leven'

/** The name that was probably meant; null: none is near enough to say so. */
export function nearest(text: string, names: readonly string[]): string | null {
  // A distance over a very long text costs much and means nothing.
  if (text.length > 80) return null
  const [best] = names
    .map((name) => ({ name, far: leven(text.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1))
  return best && best.far <= Math.min(4, Math.ceil(best.name.length / 3)) ? best.name : null
}
