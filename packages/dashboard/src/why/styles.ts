import { css } from 'lit'

export const styles = css`
  :host {
    --headroom: light-dark(#2563a8, #6aa9ff);
    --latency: light-dark(#0f766e, #3fc7b5);
    --stability: light-dark(#8a6100, #e5b93c);
    --region: light-dark(#8b3fa0, #d196e6);
    --failure_domain: light-dark(#b4481e, #ff9d6e);
    --cost: light-dark(#4d7c0f, #a3d65c);
    --preference: light-dark(#9d174d, #ff8fbd);
  }
  .legend {
    display: flex;
    flex-wrap: wrap;
    gap: 0.125rem 0.75rem;
    font-size: 0.8125rem;
    margin-block: 0.375rem;
  }
  .score {
    font-variant-numeric: tabular-nums;
    font-weight: 600;
    min-width: 3ch;
    text-align: end;
  }
  .bars details {
    grid-column: 1 / -1;
  }
  .gets {
    font-size: 0.8125rem;
    color: var(--good);
  }
  .bar rect {
    stroke: var(--ground);
    stroke-width: 1.5;
    vector-effect: non-scaling-stroke;
  }
  .f-headroom {
    fill: var(--headroom);
  }
  .f-latency {
    fill: var(--latency);
  }
  .f-stability {
    fill: var(--stability);
  }
  .f-region {
    fill: var(--region);
  }
  .f-failure_domain {
    fill: var(--failure_domain);
  }
  .f-cost {
    fill: var(--cost);
  }
  .f-preference {
    fill: var(--preference);
  }
  .notes {
    display: grid;
    grid-template-columns: max-content max-content minmax(0, 1fr);
    gap: 0.125rem 0.75rem;
    margin: 0.25rem 0 0.25rem;
    font-size: 0.8125rem;
  }
  .notes > * {
    margin: 0;
  }
  .excluded li {
    padding-block: 0.25rem;
    border-top: 1px solid var(--line);
  }
  @container (max-width: 30rem) {
        .notes {
      grid-template-columns: max-content minmax(0, 1fr);
    }
    .notes .note {
      grid-column: 1 / -1;
    }
  }
`
