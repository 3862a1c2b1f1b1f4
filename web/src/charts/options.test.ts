import { expect, test } from 'vitest';
import { bounds, isLogarithmic, preferences } from './options';

test('an axis is logarithmic where costs span more than a factor of twenty', () => {
  expect(isLogarithmic([1, 10])).toBe(false);
  expect(isLogarithmic([1, 30])).toBe(true);
  expect(isLogarithmic([0, 30])).toBe(false);
  expect(bounds([])).toEqual([0, 1]);
});

test('a model is judged at its best count within the budget', () => {
  const score = (mean: number) => ({ mean, low: mean - 0.1, high: mean + 0.1 });
  const curve = (model: string, means: number[]) => ({
    stage: 'answer',
    model,
    points: means.map((mean, i) => ({ samples: 2 ** i, score: score(mean), within_budget: i < 2 })),
  });
  const found = preferences([curve('small', [0.3, 0.5, 0.9]), curve('large', [0.7, 0.6, 0.6])], 'answer');
  expect(found.map((f) => [f.model, f.samples])).toEqual([
    ['large', 1],
    ['small', 2],
  ]);
  expect(preferences([], 'answer')).toEqual([]);
});
