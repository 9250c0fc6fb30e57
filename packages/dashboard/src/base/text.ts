/** Names come from registries and may be anything: everything that is shown of them goes through here. */

/** What no eye sees and what turns the text around it: shown as its code point. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
/** The joiner within emoji is part of what is seen. */
const joiner = '\u200d'

const isWithin = (text: string, at: number): boolean => /\p{Extended_Pictographic}\ufe0f?$/u.test(text.slice(Math.max(0, at - 4), at))

/** Control and direction characters as `⟨U+202E⟩`, so that they are seen and do nothing. */
export const visible = (text: string): string =>
  text.replace(unseen, (character, at: number) =>
    character === joiner && isWithin(text, at)
      ? character
      : `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`,
  )

export interface Shortened {
  readonly text: string
  /** The whole, up to 2,000 characters, where `text` is not it. */
  readonly title: string | null
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Cut in the middle, as names of one kind differ at their ends, and at whole characters as people see them. An empty name is shown as a dash. */
export function shortened(name: string, most = 40): Shortened {
  // Longer than anything that is shown, title included.
  const text = visible(name.slice(0, 4000))
  if (text.trim() === '') return { text: '–', title: null }
  if (text.length <= most) return { text, title: null }
  const segments = graphemes.segment(text)
  // Only places within the text are asked for.
  const characterAt = (place: number) => segments.containing(place) as Intl.SegmentData
  // Up to the character in the middle, and from the one after the last that there is no room for.
  const begin = characterAt(Math.floor(most / 2)).index
  const left = characterAt(text.length - most + begin)
  return { text: `${text.slice(0, begin)}…${text.slice(left.index + left.segment.length)}`, title: text.slice(0, 2000) }
}
