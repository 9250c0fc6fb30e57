import { html, nothing, svg, type TemplateResult } from 'lit'
import { milliseconds, percent } from '../base/figures.ts'
import type { Language } from '../messages/index.ts'
import { height, shapesOf, spanOf, summaryOf, width, xOf } from './plot.ts'
import type { StageState } from './timeline.ts'
import type { Lane } from './trace.ts'

const signs: Readonly<Record<StageState, TemplateResult>> = {
  done: svg`<circle class="full" cx="10" cy="10" r="8"></circle><path class="on" d="M6 10.5 L9 13.5 L14.5 7"></path>`,
  current: svg`<circle cx="10" cy="10" r="8"></circle><circle class="full" cx="10" cy="10" r="3.5"></circle>`,
  waiting: svg`<circle cx="10" cy="10" r="8"></circle>`,
  trouble: svg`<circle class="full" cx="10" cy="10" r="8"></circle><path class="on" d="M10 5.5 L10 11 M10 14.2 L10 14.4"></path>`,
  none: svg`<circle cx="10" cy="10" r="8"></circle><path d="M6.5 10 L13.5 10"></path>`,
}

export const toneOfStage: Readonly<Record<StageState, string>> = {
  done: 'good',
  current: 'busy',
  waiting: 'idle',
  trouble: 'waiting',
  none: 'idle',
}

export const stageSign = (state: StageState): TemplateResult =>
  html`<svg class="mark tone-${toneOfStage[state]}" viewBox="0 0 20 20" aria-hidden="true">${signs[state]}</svg>`

export interface Moment {
  readonly word: 'suspected' | 'opened' | 'recovered'
  readonly at: number
}

/** A small plot a vantage, all with the same axes. The figures stand beside it, and all points in the table twin. */
export function plots(lanes: readonly Lane[], moments: readonly Moment[], words: Language): TemplateResult {
  const t = words.messages.incident
  const span = spanOf(
    lanes,
    moments.map(({ at }) => at),
  )
  if (!span) return html`<p class="quiet">${t.noSamples}</p>`
  const marks = moments.map(({ at }) => svg`<line x1=${xOf(at, span)} x2=${xOf(at, span)} y1="0" y2=${height}></line>`)
  const figure = ({ vantage, points }: Lane, name: TemplateResult): TemplateResult => {
    const { line, dots, losses } = shapesOf(points, span)
    const { usualMs, mostMs, loss } = summaryOf(points)
    const label = [
      ...(usualMs === null ? [] : [`${t.mean} ${milliseconds(words, usualMs)}`]),
      ...(mostMs === null ? [] : [`${t.highest} ${milliseconds(words, mostMs)}`]),
      `${t.lossShare} ${percent(words, loss)}`,
    ].join(', ')
    return html`<figure data-vantage=${vantage}>
      <figcaption><b>${name}</b> <span class="quiet">${label}</span></figcaption>
      <svg class="plot" part="plot" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">
        ${losses.map(({ x, width: w, height: h }) => svg`<rect x=${x} y="0" width=${w} height=${h}></rect>`)} ${marks}
        ${line === '' ? nothing : svg`<path d=${line}></path>`} ${dots.map(({ x, y }) => svg`<path class="dot" d="M${x} ${y} L${x} ${y}"></path>`)}
      </svg>
      <div class="axis"><span>${words.clock(span.from)}</span><span>0–${milliseconds(words, span.mostMs)}</span><span>${words.clock(span.to)}</span></div>
    </figure>`
  }
  const told = moments.map(({ word, at }) => `${t.marks[word]} ${words.clock(at)}`).join(' · ')
  return html`<p class="facts">${t.legend} ${told}</p>
    <div class="plots">${lanes.map((lane) => figure(lane, html`<bdi>${lane.vantage.slice(0, 60)}</bdi>`))}</div>`
}
