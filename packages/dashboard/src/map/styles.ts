import { css } from 'lit'

export const mapStyles = css`
  .picture {
    position: relative;
    margin-block: 0.5rem;
  }
  svg.map {
    display: block;
    width: 100%;
    height: auto;
    max-height: min(70dvh, 60rem);
    overflow: visible;
  }
  .tone-good {
    --tone: var(--good);
  }
  .tone-busy {
    --tone: var(--busy);
  }
  .tone-waiting {
    --tone: var(--waiting);
  }
  .tone-idle {
    --tone: var(--idle);
  }
  .tone-bad {
    --tone: var(--bad);
  }
  .dot {
    fill: var(--tone);
  }
  .disc {
    fill: var(--ground);
    stroke: var(--tone);
    stroke-width: 0.14;
  }
  .sign[data-shape='down'] .disc {
    fill: var(--tone);
  }
  .mark {
    fill: none;
    stroke: var(--text);
    stroke-width: 0.18;
    stroke-linecap: round;
    stroke-linejoin: round;
  }
  .sign[data-shape='down'] .mark {
    stroke: var(--ground);
  }
  .ring {
    fill: none;
    stroke: var(--line);
    stroke-width: 3;
  }
  .fill {
    fill: none;
    stroke: var(--quiet);
    stroke-width: 3;
  }
  .fill[data-full] {
    stroke: var(--waiting);
  }
  .share {
    fill: none;
    stroke: var(--tone);
    stroke-width: 7;
  }
  .around {
    fill: var(--ground);
    fill-opacity: 0.5;
    stroke: var(--line);
    stroke-dasharray: 2 4;
  }
  text {
    fill: var(--text);
    font-family: var(--font);
    font-weight: 500;
    text-anchor: middle;
    unicode-bidi: plaintext;
    /* Arrows that pass behind a name leave it readable. */
    paint-order: stroke;
    stroke: var(--raised);
    stroke-width: 0.25em;
    stroke-opacity: 0.8;
    pointer-events: none;
  }
  text.quiet {
    fill: var(--quiet);
    font-weight: 400;
  }
  text.big {
    font-size: 1.4em;
    font-weight: 650;
  }
  text.region {
    fill: var(--quiet);
    font-size: 1.05em;
    font-weight: 600;
  }
  svg.tiny .node text.label {
    display: none;
  }
  svg.tiny .node:focus-visible text.label,
  svg.tiny .node:hover text.label,
  svg.tiny .node text.label.quiet {
    display: inline;
  }
  .node {
    cursor: pointer;
    outline: none;
  }
  .node .halo {
    fill: none;
    stroke: none;
    stroke-width: 3;
    pointer-events: all;
  }
  .node:focus-visible .halo,
  .node[aria-expanded='true'] .halo {
    stroke: var(--accent);
  }
  .arrow .line,
  .arrow .flow {
    fill: none;
    stroke: var(--tone);
    stroke-linecap: round;
  }
  .arrow .head {
    fill: var(--tone);
  }
  .arrow .back {
    fill: none;
    stroke: var(--raised);
    stroke-opacity: 0.85;
  }
  .arrow[data-status='scheduled'] .line,
  .arrow[data-status='approved'] .line {
    stroke-dasharray: 9 7;
    stroke-linecap: butt;
  }
  .arrow[data-status='suggested'] .line {
    stroke-dasharray: 0.5 7;
  }
  .arrow .flow {
    stroke: var(--ground);
    stroke-opacity: 0.8;
    stroke-dasharray: 4 14;
    animation: pintail-flow 6s steps(72) infinite;
  }
  .arrow[data-status='transferring'] .line {
    stroke-dasharray: 22 4;
    stroke-linecap: butt;
    animation: pintail-flow 7s steps(84) infinite;
  }
  svg.still :is(.flow, .line) {
    animation: none !important;
  }
  @keyframes pintail-flow {
    to {
      stroke-dashoffset: -234;
    }
  }
  .arrow .cross {
    stroke: var(--tone);
    stroke-width: 3;
    fill: none;
  }
  .arrow text {
    font-variant-numeric: tabular-nums;
  }
  .details {
    margin-top: 0.75rem;
    background: var(--ground);
  }
  dl {
    display: grid;
    grid-template-columns: max-content 1fr;
    gap: 0.25rem 1rem;
    margin: 0.5rem 0;
  }
  dt {
    color: var(--quiet);
  }
  dd {
    margin: 0;
    min-width: 0;
  }
  details.legend {
    margin-top: 0.5rem;
  }
  .legend ul {
    display: flex;
    flex-wrap: wrap;
    gap: 0.25rem 1.25rem;
    margin: 0.5rem 0 0;
    padding: 0;
    list-style: none;
  }
  .legend li {
    display: flex;
    gap: 0.5rem;
    align-items: center;
  }
  svg.key {
    width: 1.5rem;
    height: 1.5rem;
    flex: none;
  }
  svg.key.long {
    width: 3.5rem;
  }
  dd .key,
  td .key {
    width: 1.125rem;
    height: 1.125rem;
    vertical-align: -0.2rem;
    margin-inline-end: 0.375rem;
  }
  /* In a narrow page the table is moved sideways, and its buttons stay. */
  td:has(button) {
    position: sticky;
    inset-inline-end: 0;
    background: var(--raised);
  }
  td.figure,
  th.figure {
    text-align: end;
    padding-inline-end: 1rem;
  }
`
