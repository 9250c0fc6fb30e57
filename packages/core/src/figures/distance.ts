import type { Coordinates } from '../vocabulary.ts'

/** Mean radius of the Earth, kilometres (IUGG). */
const earthKm = 6371.0088
/**
 * How far a packet and its answer come in a millisecond, as the crow flies: 4/9 of the speed of light one way, what
 * E. Katz-Bassett et al. measured for paths of the Internet ("Towards IP geolocation using delay and topology
 * measurements", IMC 2006).
 */
const kmPerRoundTripMs = ((4 / 9) * 299.792458) / 2

const radians = (degrees: number): number => (degrees * Math.PI) / 180

/**
 * Great-circle distance, kilometres, by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky & Telescope
 * 68 (2), 1984). The Earth is no sphere: it is off by 0.5 % at most.
 */
export function distanceKm(a: Coordinates, b: Coordinates): number {
  const half = (from: number, to: number) => Math.sin(radians(to - from) / 2) ** 2
  const across = Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude))
  const h = half(a.latitude, b.latitude) + across * half(a.longitude, b.longitude)
  // Of two opposite points rounding may leave a little more than 1, which has no arc sine.
  return 2 * earthKm * Math.asin(Math.min(1, Math.sqrt(h)))
}

/** The round trip that a distance lets one expect, milliseconds. */
export const roundTripOver = (km: number): number => km / kmPerRoundTripMs

/** The middle of some places on the sphere, also across the date line; null: there is none. */
export function middleOf(places: readonly Coordinates[]): Coordinates | null {
  let [x, y, z] = [0, 0, 0]
  for (const { latitude, longitude } of places) {
    x += Math.cos(radians(latitude)) * Math.cos(radians(longitude))
    y += Math.cos(radians(latitude)) * Math.sin(radians(longitude))
    z += Math.sin(radians(latitude))
  }
  // Places all around the Earth have no middle.
  if (Math.hypot(x, y, z) < 1e-9 * places.length || places.length === 0) return null
  return { latitude: (Math.atan2(z, Math.hypot(x, y)) * 180) / Math.PI, longitude: (Math.atan2(y, x) * 180) / Math.PI }
}
