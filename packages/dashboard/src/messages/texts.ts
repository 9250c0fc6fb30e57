import type { Messages } from './en.ts'

/** Every language there is; the first is for all others. Each is a file of its own, read when an element wants to speak it. */
export const texts: Readonly<Record<string, () => Promise<Messages>>> = {
  en: async () => (await import('./en.ts')).en,
  ru: async () => (await import('./ru.ts')).ru,
}
