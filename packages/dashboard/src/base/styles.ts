import { css } from 'lit'

/**
 * The theme as CSS variables: a page sets any `--pintail-*` on an element or above it, and that value wins. Light or dark follow
 * `color-scheme`: the system's, or the page's, or `theme="light"` or `"dark"` on an element. Every pair of text and ground has a
 * contrast of 4.5 or more.
 */
export const tokens = css`
  :host {
    color-scheme: light dark;
    --ground: var(--pintail-ground, light-dark(#ffffff, #14181f));
    --raised: var(--pintail-raised, light-dark(#f4f6f9, #1d232d));
    --line: var(--pintail-line, light-dark(#cfd6e0, #39424f));
    --text: var(--pintail-text, light-dark(#1a2230, #e7ecf3));
    --quiet: var(--pintail-quiet, light-dark(#566173, #a2adbd));
    --accent: var(--pintail-accent, light-dark(#0b5cc4, #7db4ff));
    --accent-text: var(--pintail-accent-text, light-dark(#ffffff, #0b1524));
    --good: var(--pintail-good, light-dark(#1a7a3c, #4fc978));
    --busy: var(--pintail-busy, light-dark(#0b5cc4, #6aa9ff));
    --waiting: var(--pintail-waiting, light-dark(#8a6100, #e5b93c));
    --idle: var(--pintail-idle, light-dark(#687386, #97a3b5));
    --bad: var(--pintail-bad, light-dark(#c0262d, #ff7b7b));
    --radius: var(--pintail-radius, 8px);
    --font: var(--pintail-font, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif);
    --mono: var(--pintail-mono, ui-monospace, 'SF Mono', Menlo, Consolas, monospace);
  }
  :host([theme='light']) {
    color-scheme: light;
  }
  :host([theme='dark']) {
    color-scheme: dark;
  }
`

/** What all elements share: type, buttons, tables, dialogs, what only screen readers see. */
export const shared = css`
  :host {
    display: block;
    box-sizing: border-box;
    color: var(--text);
    font: 400 0.9375rem/1.45 var(--font);
    overflow-wrap: break-word;
    min-width: 0;
  }
  :host([hidden]) {
    display: none;
  }
  *,
  *::before,
  *::after {
    box-sizing: inherit;
  }
  h2,
  h3 {
    margin: 0;
    font-size: 1rem;
    font-weight: 650;
  }
  h3 {
    font-size: 0.9375rem;
  }
  p {
    margin: 0;
  }
  .quiet {
    color: var(--quiet);
  }
  .card {
    background: var(--raised);
    border: 1px solid var(--line);
    border-radius: var(--radius);
    padding: 0.75rem 1rem;
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
    align-items: center;
  }
  .spread {
    justify-content: space-between;
  }
  button,
  select,
  input {
    font: inherit;
    color: inherit;
  }
  bdi {
    overflow-wrap: anywhere;
  }
  button {
    min-height: 2.25rem;
    padding: 0.25rem 0.75rem;
    background: var(--ground);
    border: 1px solid var(--line);
    border-radius: calc(var(--radius) * 0.75);
    cursor: pointer;
  }
  button:hover:not(:disabled):not([aria-disabled='true']) {
    border-color: var(--accent);
  }
  button.primary {
    background: var(--accent);
    border-color: var(--accent);
    color: var(--accent-text);
  }
  button.danger {
    background: var(--bad);
    border-color: var(--bad);
    color: light-dark(#ffffff, #230405);
  }
  button[aria-disabled='true'],
  button:disabled {
    color: var(--quiet);
    cursor: not-allowed;
    background: var(--raised);
    border-color: var(--line);
  }
  input,
  select {
    min-height: 2.25rem;
    padding: 0.25rem 0.5rem;
    background: var(--ground);
    border: 1px solid var(--quiet);
    border-radius: calc(var(--radius) * 0.75);
    max-width: 100%;
  }
  :focus-visible {
    outline: 3px solid var(--accent);
    outline-offset: 2px;
  }
  table {
    width: 100%;
    border-collapse: collapse;
    font-variant-numeric: tabular-nums;
  }
  th,
  td {
    padding: 0.375rem 0.75rem 0.375rem 0;
    border-bottom: 1px solid var(--line);
    text-align: start;
    vertical-align: top;
  }
  th {
    font-weight: 600;
  }
  thead th,
  td.figure,
  td.state {
    white-space: nowrap;
  }
  th[scope='row'] {
    min-width: 8rem;
  }
  .scroll {
    /* What only screen readers see is placed within it, and so cannot make the page wider. */
    position: relative;
    overflow-x: auto;
  }
  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    margin: -1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  dialog {
    width: min(32rem, calc(100vw - 2rem));
    max-height: calc(100dvh - 2rem);
    overflow: auto;
    padding: 1.25rem;
    color: var(--text);
    background: var(--ground);
    border: 1px solid var(--line);
    border-radius: var(--radius);
  }
  dialog::backdrop {
    background: rgb(0 0 0 / 0.5);
  }
  dialog form,
  dialog .body {
    display: grid;
    gap: 0.75rem;
  }
  dialog label {
    display: grid;
    gap: 0.25rem;
  }
  dialog .row {
    justify-content: flex-end;
  }
  .problem {
    border-inline-start: 4px solid var(--bad);
    padding-inline-start: 0.75rem;
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after {
      animation: none !important;
      transition: none !important;
    }
  }
`
