import { defineAll } from './elements.ts'

defineAll()
