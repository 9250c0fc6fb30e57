import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from './packages.ts'

/** A Debian package and the commands that the lab takes from it. */
export type DebianPackage = { name: string; commands: readonly string[] }

export function parsePackages(text: string): DebianPackage[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', ...commands] = line.split(/\s+/)
      return { name, commands }
    })
}

const packagesIn = (...path: readonly string[]): DebianPackage[] => parsePackages(readFileSync(join(root, ...path), 'utf8'))

export const labPackages = (): DebianPackage[] => packagesIn('lab', 'debian-packages.txt')
export const browserPackages = (): DebianPackage[] => packagesIn('packages', 'dashboard', 'debian-packages.txt')

/** Where an administrator's commands are, also for a shell whose PATH leaves them out. */
const administrators = ['/usr/local/sbin', '/usr/sbin', '/sbin']

export function hasCommand(command: string, path: string = process.env.PATH ?? ''): boolean {
  return [...path.split(delimiter), ...administrators].some((folder) => isExecutable(join(folder, command)))
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The packages of which a command is missing. */
export function missingPackages(packages: readonly DebianPackage[], has: (command: string) => boolean): DebianPackage[] {
  return packages
    .map(({ name, commands }) => ({ name, commands: commands.filter((command) => !has(command)) }))
    .filter(({ commands }) => commands.length > 0)
}
