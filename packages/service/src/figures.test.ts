import { createFleet } from '@pintail/core/testing'
import Fastify from 'fastify'
import { expect, test } from 'vitest'
import { createFigures } from './figures.ts'

test('/metrics has the figures of engine, requests and process; a request is told by its route, never by its path', async () => {
  const figures = createFigures(0)
  const fleet = await createFleet({ servers: 4, replace: () => ({ metrics: figures.metrics }) })
  await fleet.advance(20_000)
  const app = Fastify()
  figures.mount(app)
  app.get('/users/:id', async () => ({}))
  await app.inject('/users/anna')
  await app.inject('/wp-login.php')
  const { body, headers } = await app.inject('/metrics')
  expect(headers['content-type']).toMatch(/^text\/plain/)
  expect(headers['cache-control']).toBe('no-store')
  expect(body).toContain('pintail_servers{verdict="up"} 4')
  expect(body).toContain('pintail_http_request_duration_seconds_count{method="GET",route="/users/:id",status="200"} 1')
  expect(body).toContain('pintail_http_request_duration_seconds_count{method="GET",route="none",status="404"} 1')
  expect(body).toContain('process_cpu_seconds_total')
  expect(body).not.toMatch(/anna|wp-login/)
  await app.close()
  await fleet.stop()
  figures.close()
})
