import { html, type TemplateResult } from 'lit'

type Cell = TemplateResult | string | number

/** A table that scrolls by itself where it is too wide, by keyboard too. The first cell of a row names it. */
export function table(label: string, heads: readonly Cell[], rows: readonly (readonly Cell[])[]): TemplateResult {
  return html`<div class="scroll small" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead><tr>${heads.map((one) => html`<th scope="col">${one}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${row.map((cell, index) => (index === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`))}</tr>`)}</tbody>
    </table>
  </div>`
}
