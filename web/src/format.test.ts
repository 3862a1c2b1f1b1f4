import { expect, test } from 'vitest';
import { ago, amount, cost, duration, interval, planWords, pValue, signed } from './format';

test('amounts keep four digits at most', () => {
  expect([0, 12, 1234, 12345, 1234567, 2.5e9].map(amount)).toEqual(['0', '12', '1,234', '12.35k', '1.235M', '2.5G']);
  expect([0.25, 187.8028, 0.00001].map(amount)).toEqual(['0.25', '187.8', '1.00e-5']);
});

test('costs are said in the unit of their model', () => {
  expect(cost(187.8, 'flops')).toBe('187.8 GFLOP');
  expect(cost(0.00231, 'usd')).toBe('$0.00231');
  expect(cost(1.5, 'usd')).toBe('$1.5000');
  expect(cost(0.5, 'usd-batch')).toBe('$0.5000');
});

test('an interval without an end says so', () => {
  expect(interval({ low: 0.25, high: 0.75 })).toBe('0.250 – 0.750');
  expect(interval({ low: null, high: null })).toBe('one value only');
});

test('times are said as people say them', () => {
  expect([0.25, 3, 75, 7300].map(duration)).toEqual(['250 ms', '3.0 s', '1 min 15 s', '2 h 1 min']);
  expect(ago(0, 2 * 86400_000)).toBe('2 days ago');
  expect(ago(0, 61_000)).toBe('1 minute ago');
});

test('a plan is its choices; a single sample has nothing to combine', () => {
  const plan = [
    { model: 'small', samples: 1, aggregator: 'vote', temperature: 0.7 },
    { model: 'large', samples: 8, aggregator: 'vote', temperature: 0.7 },
  ];
  expect(planWords(plan)).toBe('small ×1 T=0.7 + large ×8 vote T=0.7');
});

test('signs and p-values', () => {
  expect([0.1, -0.1].map(signed)).toEqual(['+0.100', '−0.100']);
  expect([0.0001, 0.04].map(pValue)).toEqual(['p < 0.001', 'p = 0.040']);
});
