// The script of the ready-made page: a bundle of all elements. It speaks the first of the browser's languages that there are texts of.
import { defineAll } from '../elements.ts'
import { texts } from '../messages/texts.ts'

const wanted = navigator.languages.map((tag) => tag.toLowerCase().split('-')[0] ?? '')
document.documentElement.lang = wanted.find((one) => Object.hasOwn(texts, one)) ?? 'en'
defineAll()
