export { type JsonlLog, type JsonlLogOptions, jsonlLog } from './log.ts'
