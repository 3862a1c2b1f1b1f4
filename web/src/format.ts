// Numbers and plans in words. Pure, so that tests read as examples.

import type { Choice, CostModel, Estimate, Json, Plan } from './types';

const UNITS: Record<CostModel, string> = {
  'paper-flops': 'units',
  flops: 'GFLOP',
  usd: 'USD',
  'usd-batch': 'USD',
  tokens: 'tokens',
  seconds: 's',
};

/** The unit of a cost model. */
export function unit(model: CostModel): string {
  return UNITS[model];
}

/** A score in 0..1, three digits. */
export function score(value: number): string {
  return value.toFixed(3).replace('-', '−');
}

/** An interval; unbounded ends are said in words. */
export function interval(estimate: { low: number | null; high: number | null }): string {
  const { low, high } = estimate;
  if (low === null || high === null) return 'one value only';
  return `${score(low)} – ${score(high)}`;
}

/** A difference with its sign. */
export function signed(value: number): string {
  return value > 0 ? `+${score(value)}` : score(value);
}

/** A count or an amount with at most four significant digits: 1234567 is 1.235M. */
export function amount(value: number): string {
  const steps: [number, string][] = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k'],
  ];
  for (const [size, suffix] of steps) {
    if (Math.abs(value) >= size) return `${trimmed(value / (suffix === 'k' ? 1e3 : size))}${suffix}`;
  }
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(2);
  return trimmed(value);
}

function trimmed(value: number): string {
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 10 ? 2 : 3;
  return String(Number(value.toFixed(digits)));
}

/** A cost in the units of a cost model. */
export function cost(value: number, model: CostModel): string {
  return UNITS[model] === 'USD' ? `$${value < 0.01 ? value.toPrecision(3) : value.toFixed(4)}` : `${amount(value)} ${UNITS[model]}`;
}

/** A duration. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** How long ago something was. */
export function ago(ms: number, now: number): string {
  const seconds = Math.max(0, (now - ms) / 1000);
  if (seconds < 60) return 'just now';
  const steps: [number, string][] = [
    [86400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ];
  for (const [size, word] of steps) {
    const count = Math.floor(seconds / size);
    if (count > 0) return `${count} ${word}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
}

/** A stage's choice in words. */
export function choiceWords(choice: Choice): string {
  const aggregator = choice.samples > 1 ? ` ${choice.aggregator}` : '';
  return `${choice.model} ×${choice.samples}${aggregator} T=${choice.temperature}`;
}

/** A plan in words. */
export function planWords(plan: Plan): string {
  return plan.map(choiceWords).join(' + ');
}

/** A value as text: texts as they are, the rest as JSON. */
export function valueText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 1);
}

/** A p-value. */
export function pValue(p: number): string {
  return p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(3)}`;
}

/** The mean of an estimate with its interval in one line. */
export function estimateWords(e: Estimate): string {
  return `${score(e.mean)} (95%: ${interval(e)}, n = ${e.n})`;
}
