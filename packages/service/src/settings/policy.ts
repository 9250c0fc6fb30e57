import { createPintail, isPintailError, type Policy, type PolicyInput, type PolicyView } from '@pintail/core'
import type { Source } from './read.ts'
import type { SettingName, Settings } from './settings.ts'

export type Sources = Readonly<Record<SettingName, Source>>

type Tree = Readonly<Record<string, unknown>>
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)

const ms = (seconds: number): number => Math.round(seconds * 1000)

/** Settings that are one value of the policy. `mode`, and the two that the preset seed-budget spreads, are not among them. */
const direct: readonly (readonly [SettingName, path: string, (values: Settings) => unknown])[] = [
  ['preset', 'detect.preset', ({ preset }) => preset],
  ['migrationThreshold', 'detect.migrationThreshold', ({ migrationThreshold }) => migrationThreshold],
  ['pingTimeout', 'detect.pingTimeoutMs', ({ pingTimeout }) => ms(pingTimeout)],
  ['packetLossThreshold', 'detect.packetLossThresholdPercent', ({ packetLossThreshold }) => packetLossThreshold],
  ['latencyThreshold', 'detect.latencyThresholdMs', ({ latencyThreshold }) => latencyThreshold],
  ['canaries', 'detect.canaries', ({ canaries }) => canaries],
  ['startupDelay', 'startupDelayMs', ({ startupDelay }) => ms(startupDelay)],
  ['defaultCapacity', 'placement.defaultCapacity', ({ defaultCapacity }) => defaultCapacity],
  ['maxArrivals', 'placement.maxArrivals', ({ maxArrivals }) => maxArrivals],
  ['advice', 'advice.enabled', ({ advice }) => advice !== 'off'],
  ['adviceInterval', 'advice.intervalMs', ({ adviceInterval }) => ms(adviceInterval)],
]

/** The place in the policy that a setting stands for; null: it is no part of the policy. */
export function policyPathOf(name: SettingName): string | null {
  const paths: Partial<Record<SettingName, string>> = {
    mode: 'mode',
    checkInterval: 'detect.checkIntervalMs',
    pingCount: 'detect.pingCount',
  }
  return paths[name] ?? direct.find(([key]) => key === name)?.[1] ?? null
}

export function at(tree: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, key) => (isTree(inner) ? inner[key] : undefined), tree)
}

function put(tree: Tree, path: string, value: unknown): Tree {
  const [key = '', ...rest] = path.split('.')
  const below = tree[key]
  return { ...tree, [key]: rest.length === 0 ? value : put(isTree(below) ? below : {}, rest.join('.'), value) }
}

/** The policy's shortest interval, milliseconds. */
const shortestMs = 50

/**
 * The preset seed-budget sends as many packets as PING_COUNT and CHECK_INTERVAL say, one at a time instead of all at once:
 * an outage is noticed a few times sooner, at the same cost.
 */
export const spread = ({ checkInterval, pingCount }: Pick<Settings, 'checkInterval' | 'pingCount'>): number =>
  Math.max(shortestMs, Math.round((checkInterval * 1000) / pingCount))

/**
 * The engine's policy: what the file says under `policy`, and over it what the settings say. A setting that nobody has
 * set gives way to the file.
 */
export function policyOf(values: Settings, sources: Sources, filePolicy: PolicyInput): PolicyInput {
  const isFree = (name: SettingName, path: string): boolean => sources[name] === 'default' && at(filePolicy, path) !== undefined
  let policy = filePolicy as Tree
  for (const [name, path, value] of direct) if (!isFree(name, path)) policy = put(policy, path, value(values))
  const paced = [
    ['checkInterval', 'detect.checkIntervalMs', ms(values.checkInterval)],
    ['pingCount', 'detect.pingCount', values.pingCount],
  ] as const
  const isSpread = at(policy, 'detect.preset') === 'seed-budget' && paced.every(([, path]) => at(filePolicy, path) === undefined)
  if (isSpread) policy = put(put(policy, 'detect.checkIntervalMs', spread(values)), 'detect.pingCount', 1)
  else for (const [name, path, value] of paced) if (!isFree(name, path)) policy = put(policy, path, value)
  if (!isFree('mode', 'mode')) policy = put(policy, 'mode', modeOf(values.mode, at(filePolicy, 'mode')))
  if (values.advice !== 'off' && isTree(at(policy, 'mode')))
    for (const reason of ['cost-optimization', 'rebalancing']) policy = put(policy, `mode.${reason}`, values.advice)
  return policy as PolicyInput
}

/** The service acts on dead servers only, unless the file says more. Observing is meant for everything. */
function modeOf(mode: Settings['mode'], file: unknown): unknown {
  if (mode === 'observe') return mode
  const others = typeof file === 'string' ? { default: file } : isTree(file) ? file : {}
  return { ...others, 'server-down': mode }
}

export interface PolicyProblem {
  readonly path: string
  readonly message: string
  readonly value?: string
  readonly remedy?: string
}

const nobody = { listServers: async () => [], listConnections: async () => [] }

/** The engine's own judgement of the policy: it is made and thrown away, which starts nothing. */
export function checkPolicy(policy: PolicyInput): { readonly view: PolicyView } | { readonly problems: readonly PolicyProblem[] } {
  try {
    return { view: createPintail({ registry: nobody, mover: { move: async () => {} }, policy }).policy.get() }
  } catch (error) {
    if (isPintailError(error, 'invalid_options')) return { problems: error.problems }
    throw error
  }
}

/** How servers are checked, in one sentence. */
export function paceOf({ detect, startupDelayMs }: Policy): string {
  const packets = detect.pingCount === 1 ? 'one packet' : `${detect.pingCount} packets`
  const confirmed = detect.confirm
    ? `a failure is confirmed by a packet every ${seconds(detect.confirm.intervalMs)} for ${seconds(detect.confirm.durationMs)}`
    : `${detect.migrationThreshold} failing checks in a row are a dead server`
  const begin = startupDelayMs > 0 ? `, from ${seconds(startupDelayMs)} after the start` : ''
  return `${packets} to each server every ${seconds(detect.checkIntervalMs)}${begin}; ${confirmed}`
}

export const seconds = (milliseconds: number): string => `${Number((milliseconds / 1000).toFixed(3))} s`
