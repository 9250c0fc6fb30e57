export { type CommandHandlerOptions, type CommandMeaning, commandHandler } from './handler.ts'
