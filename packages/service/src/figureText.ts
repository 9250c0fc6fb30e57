/**
 * Figures that something counts itself, as Prometheus reads them. What is no number is left out.
 * @param gauges those that may fall; all others only rise
 */
export function figureText(prefix: string, figures: object, gauges: readonly string[]): string {
  const lines = Object.entries(figures).flatMap(([name, value]) => {
    if (typeof value !== 'number') return []
    const isGauge = gauges.includes(name)
    const full = `${prefix}_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}${isGauge ? '' : '_total'}`
    return [`# TYPE ${full} ${isGauge ? 'gauge' : 'counter'}`, `${full} ${value}`]
  })
  return lines.map((line) => `${line}\n`).join('')
}
