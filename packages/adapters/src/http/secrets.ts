/** The names of fields and query parameters whose values are credentials, in any spelling: `private_key`, `apiKey`, `X-Token`. */
const secretName =
  '[\\w-]*(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|private[-_]?key|preshared[-_]?key|authorization|cookie|session|signature)'

const rules: readonly (readonly [RegExp, string])[] = [
  // user:password@ in a URL.
  [/(\w:\/\/)[^\s/@"'<>]*@/g, '$1***@'],
  [/\b(bearer|basic|digest)\s+[\w.~+/=-]{4,}/gi, '$1 ***'],
  // "private_key": "…", private_key=…, also inside a text that is quoted itself (\"private_key\": \"…\").
  [new RegExp(`(${secretName})((?:\\\\?["'])?\\s*[:=]\\s*)(\\\\?"[^"]*"|'[^']*'|[^\\s,;&}\\])]+)`, 'gi'), '$1$2***'],
  // A WireGuard key, wherever it stands: 32 bytes as base64.
  [/(?<![\w+/])[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=(?![\w+/=])/g, '***'],
]

/**
 * The text without credentials, so that it may be shown to people and written to logs.
 * @param known values that must never appear, whatever stands around them; those under four characters are left alone
 */
export function withoutSecrets(text: string, known: readonly string[] = []): string {
  let masked = text
  for (const secret of known) if (secret.length >= 4) masked = masked.replaceAll(secret, '***')
  return rules.reduce((rest, [pattern, by]) => rest.replace(pattern, by), masked)
}

/** The beginning of a long text without credentials: at most 300 characters. Masked before it is cut: half a key is still half a key. */
export function beginning(text: string, known: readonly string[] = []): string {
  return withoutSecrets(text.slice(0, 4000), known).slice(0, 300)
}

/** On one line, without credentials, at most 80 characters: what an answer began with. */
export function excerpt(text: string, known: readonly string[] = []): string {
  const line = withoutSecrets(text.slice(0, 4000), known)
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ')
    .trim()
  const characters = [...line]
  return characters.length > 80 ? `${characters.slice(0, 79).join('')}…` : line
}
