import type { JsonObject, Pintail } from '@pintail/core'
import type { FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { PintailAction } from '../actions.ts'

/** What a handler is given, read and checked. */
export interface Call<Params, Query, Body> {
  readonly engine: Pintail
  readonly params: Params
  readonly query: Query
  readonly body: Body
  readonly request: FastifyRequest
  /** Of If-Match. */
  readonly ifMatch: string | undefined
}

export interface Answer {
  /** Default 200. */
  readonly status?: number
  /** Goes out as JSON; a string as it is. */
  readonly body: unknown
  /** The part of the entity tag that people decide about; none: no ETag. */
  readonly tag?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A dialect of JSON Schema. */
export type Target = 'draft-7' | 'draft-2020-12' | 'openapi-3.0'

/** A schema of zod, or JSON Schema by its dialect. */
export type Described = z.ZodType | ((target: Target) => JsonObject)

/** One route under the prefix, as data: what it takes, what it answers, what it does. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly url: string
  readonly action: PintailAction
  /** For the document. */
  readonly operation: string
  readonly summary: string
  readonly tag: 'fleet' | 'servers' | 'migrations' | 'evacuations' | 'incidents' | 'policy' | 'live' | 'health'
  readonly params?: z.ZodType
  readonly query?: z.ZodType
  readonly body?: Described
  /** May be left out altogether. */
  readonly isBodyOptional?: true
  /** Bytes. Default 65 536. */
  readonly bodyLimit?: number
  readonly success: { readonly status: number; readonly schema: z.ZodType | null; readonly contentType?: string }
  /** Statuses of problems beside those that every route may answer. */
  readonly problems?: readonly number[]
  /** `needed`: without it 428; `taken`: compared where it is given. */
  readonly ifMatch?: 'needed' | 'taken'
  /** Its answer may name users: they are masked for who may not see them. */
  readonly namesUsers?: true
  readonly handle: (call: Call<never, never, never>) => Promise<Answer> | Answer
}

type Infer<T> = T extends z.ZodType ? z.output<T> : undefined

/** An endpoint whose handler has the types of its schemas. */
export function endpoint<
  const Params extends z.ZodType | undefined = undefined,
  const Query extends z.ZodType | undefined = undefined,
  const Body extends Described | undefined = undefined,
>(
  spec: Omit<Endpoint, 'params' | 'query' | 'body' | 'handle'> & {
    readonly params?: Params
    readonly query?: Query
    readonly body?: Body
    readonly handle: (
      call: Call<Infer<Params>, Infer<Query>, Body extends z.ZodType ? z.output<Body> : Body extends undefined ? undefined : unknown>,
    ) => Promise<Answer> | Answer
  },
): Endpoint {
  return spec as unknown as Endpoint
}
