import { css } from 'lit'

export const styles = css`
  .list {
    margin-top: 0.5rem;
  }
  .list li {
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.75rem;
    padding-block: 0.5rem;
    border-top: 1px solid var(--line);
  }
  .head {
    display: flex;
    flex-wrap: wrap;
    gap: 0.25rem 0.75rem;
    align-items: baseline;
    margin-bottom: 0.5rem;
  }
  .steps {
    margin-top: 1rem;
  }
  .step {
    position: relative;
    padding: 0 0 1rem 2rem;
    display: grid;
    gap: 0.25rem;
    min-width: 0;
  }
  .step > * {
    min-width: 0;
  }
  .step::before {
    content: '';
    position: absolute;
    inset-inline-start: 0.5625rem;
    top: 1.5rem;
    bottom: -0.125rem;
    border-inline-start: 2px solid var(--line);
  }
  .step:last-child::before {
    display: none;
  }
  .step > .mark {
    position: absolute;
    inset-inline-start: 0;
    top: 0.125rem;
    width: 1.25rem;
    height: 1.25rem;
  }
  .mark circle {
    fill: none;
    stroke: currentColor;
    stroke-width: 2;
  }
  .mark .full {
    fill: currentColor;
  }
  .mark path {
    fill: none;
    stroke: currentColor;
    stroke-width: 2.25;
    stroke-linecap: round;
    stroke-linejoin: round;
  }
  .mark .on {
    stroke: var(--raised);
  }
  .step h4 {
    margin: 0;
    font-size: 0.9375rem;
    font-weight: 650;
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.5rem;
    align-items: baseline;
  }
  .step h4 span {
    font-weight: 400;
    font-size: 0.8125rem;
  }
  .quoted {
    border-inline-start: 3px solid var(--waiting);
    padding-inline-start: 0.625rem;
  }
  .plots {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr));
    gap: 0.75rem;
    margin-top: 0.375rem;
  }
  figure {
    margin: 0;
    min-width: 0;
  }
  figcaption {
    font-size: 0.8125rem;
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.5rem;
    justify-content: space-between;
  }
  .plot {
    display: block;
    width: 100%;
    height: 5rem;
    background: var(--ground);
    border: 1px solid var(--line);
    border-radius: calc(var(--radius) / 2);
  }
  .plot path {
    fill: none;
    stroke: var(--busy);
    stroke-width: 2;
    vector-effect: non-scaling-stroke;
    stroke-linejoin: round;
  }
  .plot .dot {
    stroke-width: 5;
    stroke-linecap: round;
  }
  .plot rect {
    fill: var(--bad);
    opacity: 0.45;
  }
  .plot line {
    stroke: var(--quiet);
    stroke-width: 1;
    stroke-dasharray: 3 3;
    vector-effect: non-scaling-stroke;
  }
  .axis {
    display: flex;
    justify-content: space-between;
    font-size: 0.75rem;
    color: var(--quiet);
    font-variant-numeric: tabular-nums;
  }
  details {
    min-width: 0;
  }
`
