/** One line that fping prints in count mode (`-C`), as far as a probe needs it. */
export type FpingLine =
  /** What became of packet `seq`: its round trip in milliseconds, or null, because its time was over. */
  | { readonly kind: 'packet'; readonly address: string; readonly seq: number; readonly rttMs: number | null }
  /** Somebody on the way said that it did not arrive. */
  | { readonly kind: 'undelivered'; readonly address: string; readonly said: string }
  /** The first line of the summary: all packets are settled. */
  | { readonly kind: 'summary' }
  /** A second answer to one packet; an empty line. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unknown' }

const nothing: FpingLine = { kind: 'nothing' }
const unknown: FpingLine = { kind: 'unknown' }
const summary: FpingLine = { kind: 'summary' }

/**
 * Reads one line of fping 4 and 5. Those of packets are read by hand, because there are 100,000 of them a second:
 * `10.0.0.1 : [0], 64 bytes, 0.035 ms (0.035 avg, 0% loss)` and `10.0.0.1 : [0], timed out (NaN avg, 100% loss)`.
 */
export function readFpingLine(line: string): FpingLine {
  const at = line.indexOf(' : [')
  if (at < 1) return readOther(line)
  const end = line.indexOf(']', at)
  const seq = Number(line.slice(at + 4, end))
  const space = line.indexOf(' ')
  if (end < at + 5 || !Number.isInteger(seq) || line.slice(space, at).trim() !== '') return unknown
  const address = line.slice(0, space)
  if (line.startsWith(', timed out', end + 1)) return { kind: 'packet', address, seq, rttMs: null }
  const from = line.indexOf(' bytes, ', end)
  const to = line.indexOf(' ms', from)
  if (from < 0 || to < 0) return unknown
  const text = line.slice(from + 8, to)
  const rttMs = Number(text)
  return text !== '' && Number.isFinite(rttMs) && rttMs >= 0 ? { kind: 'packet', address, seq, rttMs } : unknown
}

function readOther(line: string): FpingLine {
  if (line === '' || line.includes(' : duplicate for [')) return nothing
  const [, said = '', address] = /^(ICMP.{0,200}) for ICMP(?:v6)? Echo(?: Request)? sent to (\S+)$/.exec(line) ?? []
  if (address) return { kind: 'undelivered', address, said }
  return /^\S+ +:(?: (?:-|\d[\d.e+]*))+$/.test(line) ? summary : unknown
}
