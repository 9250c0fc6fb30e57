import { css } from 'lit'

export const styles = css`
  .filters {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(min(9rem, 100%), 1fr));
    gap: 0.5rem;
    align-items: end;
    margin-block: 0.75rem;
  }
  .filters label {
    display: grid;
    gap: 0.125rem;
    min-width: 0;
    font-size: 0.8125rem;
    color: var(--quiet);
  }
  .filters select,
  .filters input {
    width: 100%;
    min-width: 0;
    color: var(--text);
    font-size: 0.9375rem;
  }
  h3 {
    margin-block: 1rem 0.25rem;
    display: flex;
    gap: 0.5rem;
    align-items: baseline;
  }
  .count {
    font-weight: 400;
    color: var(--quiet);
    font-variant-numeric: tabular-nums;
  }
  .item {
    display: grid;
    grid-template-columns: 1.25rem minmax(0, 1fr) auto;
    gap: 0 0.5rem;
    padding-block: 0.625rem;
    border-top: 1px solid var(--line);
  }
  .mark {
    width: 1rem;
    height: 1rem;
    margin-top: 0.1875rem;
  }
  .mark path,
  .mark circle {
    fill: none;
    stroke: currentColor;
    stroke-width: 2.5;
    stroke-linecap: round;
    stroke-linejoin: round;
  }
  .mark .full {
    fill: currentColor;
  }
  .body {
    min-width: 0;
    display: grid;
    gap: 0.125rem;
    align-content: start;
  }
  .line {
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.75rem;
    align-items: baseline;
  }
  .way {
    font-weight: 600;
    min-width: 0;
  }
  .status {
    white-space: nowrap;
    font-variant-numeric: tabular-nums;
  }
  .error {
    color: var(--bad);
    font-size: 0.8125rem;
  }
  .warning {
    font-size: 0.8125rem;
    color: var(--waiting);
  }
  progress {
    appearance: none;
    width: 100%;
    height: 0.375rem;
    margin-block: 0.25rem;
    border: 0;
    border-radius: 1rem;
    overflow: hidden;
    background: var(--line);
    color: var(--busy);
  }
  progress::-webkit-progress-bar {
    background: var(--line);
  }
  progress::-webkit-progress-value {
    background: currentColor;
    transition: width 0.3s;
  }
  progress::-moz-progress-bar {
    background: currentColor;
  }
  .actions {
    display: flex;
    flex-wrap: wrap;
    gap: 0.375rem;
    align-items: start;
    justify-content: flex-end;
  }
  .actions button {
    min-height: 2rem;
    padding: 0.125rem 0.625rem;
    font-size: 0.875rem;
  }
  .fold {
    min-height: 0;
    padding: 0;
    border: 0;
    background: none;
    text-align: start;
    font-weight: 600;
  }
  .fold::before {
    content: '';
    display: inline-block;
    width: 0.4rem;
    height: 0.4rem;
    margin-inline-end: 0.5rem;
    border-inline-end: 2px solid currentColor;
    border-bottom: 2px solid currentColor;
    transform: rotate(-45deg);
    vertical-align: 0.1em;
    transition: transform 0.15s;
  }
  .fold[aria-expanded='true']::before {
    transform: rotate(45deg);
  }
  .parts {
    grid-column: 2 / -1;
    margin-top: 0.5rem;
  }
  .pager {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
    align-items: center;
    padding-top: 0.5rem;
    border-top: 1px solid var(--line);
  }
  @container (max-width: 34rem) {
    .item {
      grid-template-columns: 1.25rem minmax(0, 1fr);
    }
    .actions {
      grid-column: 2;
      justify-content: flex-start;
      margin-top: 0.375rem;
    }
    .actions:empty {
      display: none;
    }
  }
`
