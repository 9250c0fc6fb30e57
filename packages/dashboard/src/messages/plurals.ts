export type Forms = { readonly other: string } & { readonly [rule in Intl.LDMLPluralRule]?: string }

/** `3 servers`: the figure as the language writes it, and the form that goes with it. */
export function plurals(language: string): (n: number, forms: Forms) => string {
  const rules = new Intl.PluralRules(language)
  const figures = new Intl.NumberFormat(language)
  return (n, forms) => `${figures.format(n)} ${forms[rules.select(n)] ?? forms.other}`
}
