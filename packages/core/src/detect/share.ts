/**
 * Which of several engines looks at a server at the steady pace: the one whose weight for it is highest (rendezvous hashing,
 * Thaler and Ravishankar 1998). When one comes or goes only its own servers change hands, and everybody who knows the same names
 * finds the same owner without asking.
 * @param members their ids, in any order
 * @returns null if there are none
 */
export function ownerOf(server: string, members: readonly string[]): string | null {
  const key = hash(server)
  let owner: string | null = null
  let highest = -1
  for (const member of members) {
    const weight = mix(key ^ hash(member))
    // Equal weights are as good as impossible, and must not depend on the order.
    if (weight > highest || (weight === highest && owner !== null && member < owner)) {
      owner = member
      highest = weight
    }
  }
  return owner
}

/** FNV-1a of the UTF-16 units, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  return value
}

/** The finaliser of MurmurHash3: each bit of the input changes half of the bits. */
function mix(value: number): number {
  let bits = value
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
