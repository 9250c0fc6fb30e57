// PostgreSQL keeps any JSON, but to take a string out of it (`record ->> 'notes'`, or a column made of it) fails for the
// whole value if it holds U+0000 or half a surrogate pair anywhere. One such note would end every commit and every query
// over its row. So these are written as a mark and their number, and read back as they were.

/** Of the private use area; where a text has it itself, it is doubled. */
const mark = '\uf8ff'

/** JSON as PostgreSQL can take it apart. `JSON.stringify` writes U+0000 and half pairs as escapes. */
export function toColumn(json: string): string {
  if (!json.includes(mark) && !/\\u(?:0000|d[89a-f])/.test(json)) return json
  // Escape by escape, because `\\u0000` is a backslash and five letters.
  return json.replace(/\\(?:u([0-9a-f]{4})|.)|\uf8ff/g, (found, hex?: string) => {
    if (found === mark) return mark + mark
    return hex !== undefined && /^(?:0000|d[89a-f])/.test(hex) ? mark + hex : found
  })
}

export function fromColumn(json: string): string {
  if (!json.includes(mark)) return json
  return json.replace(/\uf8ff(?:\uf8ff|([0-9a-f]{4}))/g, (_, hex?: string) => (hex === undefined ? mark : `\\u${hex}`))
}
