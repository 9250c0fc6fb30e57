export { type FakeClock, fakeClock } from './clock.ts'
export { createFleet, type Fleet, type FleetOptions, type Health } from './fleet.ts'
export { seededRandom } from './random.ts'
