/** Registers an element unless the tag is taken already. @returns whether it did */
export function defineOnce(tag: string, element: CustomElementConstructor, registry: CustomElementRegistry = customElements): boolean {
  if (registry.get(tag)) return false
  registry.define(tag, element)
  return true
}
