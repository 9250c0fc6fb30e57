import { css } from 'lit'

/** What elements with lists of facts share, beside what all share. */
export const lists = css`
  :host {
    container-type: inline-size;
  }
  a {
    color: var(--accent);
  }
  h2:focus,
  h3:focus {
    outline: none;
  }
  h3 {
    margin-block: 1rem 0.25rem;
  }
  ul,
  ol {
    list-style: none;
    margin: 0;
    padding: 0;
  }
  .facts {
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.75rem;
    font-size: 0.8125rem;
    color: var(--quiet);
    font-variant-numeric: tabular-nums;
  }
  .tone-good {
    color: var(--good);
  }
  .tone-busy {
    color: var(--busy);
  }
  .tone-waiting {
    color: var(--waiting);
  }
  .tone-idle {
    color: var(--quiet);
  }
  .tone-bad {
    color: var(--bad);
  }
  summary {
    cursor: pointer;
    color: var(--quiet);
    font-size: 0.8125rem;
  }
  .small table {
    font-size: 0.8125rem;
  }
  .bar {
    display: block;
    width: 100%;
    height: 1.125rem;
    background: var(--ground);
    border: 1px solid var(--line);
    border-radius: 3px;
  }
  .legend svg {
    width: 0.875rem;
    height: 0.75rem;
    margin-inline-end: 0.25rem;
    vertical-align: -0.05em;
  }
  .bars {
    display: grid;
    grid-template-columns: fit-content(13rem) minmax(6rem, 1fr) auto;
    gap: 0 0.75rem;
  }
  .bars > li {
    display: grid;
    grid-template-columns: subgrid;
    grid-column: 1 / -1;
    align-items: center;
    padding-block: 0.375rem;
    border-top: 1px solid var(--line);
  }
  @container (max-width: 32rem) {
    .bars {
      grid-template-columns: minmax(0, 1fr) auto;
    }
    .bars .bar {
      grid-row: 2;
      grid-column: 1 / -1;
    }
  }
`
