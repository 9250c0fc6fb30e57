import { css } from 'lit'

export const styles = css`
  fieldset {
    margin: 0.75rem 0;
    padding: 0;
    border: 0;
    min-width: 0;
  }
  legend {
    padding: 0;
    font-weight: 600;
  }
  .find {
    width: 100%;
    max-width: 22rem;
    margin-block: 0.375rem;
  }
  .choices {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr));
    gap: 0 0.75rem;
    max-height: 15rem;
    overflow-y: auto;
    border: 1px solid var(--line);
    border-radius: calc(var(--radius) * 0.75);
    padding: 0.25rem 0.5rem;
    background: var(--ground);
  }
  .choices label {
    display: flex;
    gap: 0.5rem;
    align-items: center;
    padding-block: 0.25rem;
    min-width: 0;
    cursor: pointer;
  }
  .choices input {
    min-height: 0;
    width: 1.125rem;
    height: 1.125rem;
    flex: none;
    accent-color: var(--accent);
  }
  .choices .quiet {
    margin-inline-start: auto;
    font-size: 0.8125rem;
    white-space: nowrap;
    font-variant-numeric: tabular-nums;
  }
  .result {
    font-size: 1.0625rem;
    font-weight: 600;
  }
  .kept {
    fill: var(--idle);
  }
  .come {
    fill: var(--busy);
  }
  .come.over {
    fill: var(--bad);
  }
  .go {
    fill: none;
    stroke: var(--idle);
    stroke-width: 1.5;
    stroke-dasharray: 3 2;
    vector-effect: non-scaling-stroke;
  }
  .limit {
    stroke: var(--text);
    stroke-width: 2;
    vector-effect: non-scaling-stroke;
  }
  .figures {
    font-size: 0.8125rem;
    font-variant-numeric: tabular-nums;
  }
  .stale {
    border-inline-start: 4px solid var(--waiting);
    padding-inline-start: 0.75rem;
    margin-block: 0.75rem;
  }
  .begun {
    border-inline-start: 4px solid var(--good);
    padding-inline-start: 0.75rem;
    margin-block: 0.75rem;
  }
  .execute {
    margin-top: 1rem;
  }
  @container (max-width: 34rem) {
      .fill .bar {
      grid-row: 2;
      grid-column: 1 / -1;
    }
  }
`
