// What charts show, as options of ECharts. Pure: data and colours in, an option out.

import type { EChartsCoreOption } from 'echarts/core';
import { amount, choiceWords, cost, interval, score, unit } from '../format';
import type { CostModel, Credible, Plan, PlanPoint, Plans, Progress } from '../types';
import type { Palette } from './palette';

/** What a point says when it is pointed at, line by line, and which trial it leads to. */
export interface Point {
  value: (number | null)[];
  tip: string[];
  trial?: number;
}

const FONT = 'Inter, system-ui, sans-serif';

function frame(p: Palette): EChartsCoreOption {
  return {
    animation: false,
    textStyle: { fontFamily: FONT, color: p.soft, fontSize: 11 },
    grid: { left: 8, right: 16, top: 50, bottom: 30, containLabel: true },
    legend: {
      type: 'scroll',
      pageIconColor: p.soft,
      pageTextStyle: { color: p.soft },
      top: 0,
      left: 0,
      itemWidth: 12,
      itemHeight: 8,
      itemGap: 14,
      textStyle: { color: p.soft, fontSize: 11 },
      inactiveColor: p.faint,
      icon: 'roundRect',
    },
  };
}

function axis(p: Palette, name: string, more: Record<string, unknown>): Record<string, unknown> {
  return {
    name,
    nameLocation: 'middle',
    nameGap: 24,
    nameTextStyle: { color: p.soft, fontSize: 11 },
    axisLine: { lineStyle: { color: p.line } },
    axisTick: { show: false },
    axisLabel: { color: p.soft, fontSize: 11, hideOverlap: true },
    splitLine: { lineStyle: { color: p.line, opacity: 0.5 } },
    ...more,
  };
}

function scores(p: Palette, name: string, values: number[], pad = 0.04): Record<string, unknown> {
  const [low, high] = bounds(values);
  const step = high - low > 0.5 ? 0.1 : 0.05;
  return axis(p, name, {
    type: 'value',
    nameLocation: 'end',
    nameGap: 9,
    nameTextStyle: { align: 'left', color: p.soft, fontSize: 11 },
    min: Math.max(0, Math.floor((low - pad) / step) * step),
    max: Math.min(1, Math.ceil((high + pad) / step) * step),
    axisLabel: { color: p.soft, fontSize: 11, formatter: (v: number) => v.toFixed(2) },
  });
}

/** The least and the greatest of some numbers; 0 and 1 of none. */
export function bounds(values: number[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [0, 1];
}

/** Whether an axis over these values is better logarithmic: they span more than a factor of twenty. */
export function isLogarithmic(values: number[]): boolean {
  const [low, high] = bounds(values);
  return low > 0 && high / low > 20;
}

function planLines(plan: Plan, stages: string[]): string[] {
  return plan.map((choice, i) => `${stages[i] ?? `stage ${i + 1}`}: ${choiceWords(choice)}`);
}

/** A series of vertical bars from the second to the third value at the first, and horizontal ones where there are more. */
function bars(name: string, color: string, opacity: number, data: Point[]): Record<string, unknown> {
  return {
    name,
    type: 'custom',
    silent: true,
    z: 1,
    itemStyle: { color },
    encode: { x: [0], y: [1, 2] },
    data: data.map((d) => ({ value: d.value })),
    renderItem: (_: unknown, api: { value: (i: number) => number; coord: (at: [number, number]) => [number, number] }) => {
      const [x, low, high] = [api.value(0), api.value(1), api.value(2)];
      const [bottom, top] = [api.coord([x, low]), api.coord([x, high])];
      const style = { stroke: color, lineWidth: 1.2, opacity };
      const lines = [{ type: 'line', shape: { x1: bottom[0], y1: bottom[1], x2: top[0], y2: top[1] }, style }];
      const [left, right, y] = [api.value(3), api.value(4), api.value(5)];
      if (Number.isFinite(left) && Number.isFinite(right) && Number.isFinite(y)) {
        const [from, to] = [api.coord([left, y]), api.coord([right, y])];
        lines.push({ type: 'line', shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }, style });
      }
      return { type: 'group', children: lines };
    },
  };
}

const STAR = 'path://M12 1.8l3.1 6.6 7.2.9-5.3 5 1.4 7.1L12 17.9l-6.4 3.5 1.4-7.1-5.3-5 7.2-.9z';

/** Cost against quality: the front with its intervals, the other plans, and the chosen one. */
export function pareto(plans: Plans, model: CostModel, budget: number, stages: string[], objective: string, p: Palette): EChartsCoreOption {
  const point = (plan: PlanPoint): Point => ({
    value: [plan.cost.mean, plan.objective.mean],
    trial: plan.trial,
    tip: [
      `Trial ${plan.trial}: ${score(plan.objective.mean)} (${interval(plan.objective)})`,
      `${cost(plan.cost.mean, model)} per query, n = ${plan.objective.n}`,
      ...planLines(plan.plan, stages),
      ...(plan.stands_for > 1 ? [`and ${plan.stands_for - 1} more plans near it`] : []),
    ],
  });
  const all = [...plans.front, ...plans.others];
  const chosen = all.find((plan) => plan.trial === plans.chosen);
  const marked = chosen === undefined || plans.front.includes(chosen) ? plans.front : [...plans.front, chosen];
  const errors = marked.map(({ objective: o, cost: c }) => ({
    value: [c.mean, o.low ?? o.mean, o.high ?? o.mean, c.low === null ? null : Math.max(c.low, c.mean * 0.05), c.high, o.mean],
    tip: [],
  }));
  const costs = all.map((plan) => plan.cost.mean).filter((c) => c > 0);
  const log = isLogarithmic(costs);
  const [least, most] = bounds(costs);
  const limits = marked.flatMap((plan) => [plan.objective.low, plan.objective.high]).filter((v) => v !== null);
  const inBudget = budget >= least && budget < most * 3;
  return {
    ...frame(p),
    xAxis: axis(p, `cost of a query, ${unit(model)}${log ? ' (logarithmic)' : ''}`, {
      type: log ? 'log' : 'value',
      min: log ? least * 0.85 : Math.max(0, least - (most - least) * 0.06),
      max: log ? Math.max(most * 1.15, inBudget ? budget * 1.1 : 0) : most + (most - least) * 0.06,
      axisLabel: { color: p.soft, fontSize: 11, hideOverlap: true, formatter: (v: number) => amount(Number(v.toPrecision(3))) },
      splitLine: { show: false },
    }),
    yAxis: scores(p, objective, [...all.map((plan) => plan.objective.mean), ...limits]),
    tooltip: tooltip(),
    series: [
      {
        name: 'other plans',
        type: 'scatter',
        symbolSize: (_: unknown, at: { data: Point }) => (at.data.tip.some((t) => t.startsWith('and ')) ? 7 : 5),
        itemStyle: { color: p.soft, opacity: plans.others.length > 300 ? 0.35 : 0.55 },
        data: plans.others.filter((plan) => plan !== chosen).map(point),
      },
      bars('95% interval', p.accent, 0.45, errors),
      {
        name: plans.is_believed ? 'front, as believed' : 'front, by own means',
        type: 'line',
        step: 'end',
        symbol: 'circle',
        symbolSize: 8,
        lineStyle: { color: p.accent, width: 1.6 },
        itemStyle: { color: p.accent },
        data: plans.front.map(point),
        z: 3,
      },
      {
        name: plans.is_recommended ? 'recommended' : 'leading',
        type: 'scatter',
        symbol: STAR,
        symbolSize: 18,
        z: 5,
        itemStyle: { color: p.star, borderColor: p.paper, borderWidth: 1 },
        data: chosen === undefined ? [] : [point(chosen)],
        ...(inBudget
          ? {
              markLine: {
                symbol: 'none',
                silent: true,
                label: { formatter: 'plan budget', color: p.soft, fontSize: 10, position: 'insideEndTop' },
                lineStyle: { color: p.soft, type: 'dashed', width: 1 },
                data: [{ xAxis: budget }],
              },
            }
          : {}),
      },
    ],
  };
}

/** Every trial, and the leading plan's mean with its interval. */
export function progress(data: Progress, objective: string, p: Palette): EChartsCoreOption {
  const last = data.trials.at(-1)?.trial ?? 1;
  const leads = data.leads;
  const end = leads.at(-1);
  const steps = end === undefined || end.since === last ? leads : [...leads, { ...end, since: last }];
  const line = (of: (lead: (typeof leads)[number]) => number) => steps.map((lead) => [lead.since, of(lead)]);
  const means = data.trials.map((t) => t.mean);
  const faint = data.trials.length > 150;
  const ends = steps.flatMap((l) => [l.low ?? l.mean, l.high ?? l.mean]);
  return {
    ...frame(p),
    xAxis: axis(p, 'trial, in the order of proposal', { type: 'value', min: 1, max: Math.max(last, 2), minInterval: 1, splitLine: { show: false } }),
    yAxis: scores(p, objective, [...means, ...ends]),
    tooltip: tooltip(),
    series: [
      {
        name: 'trials',
        type: 'scatter',
        symbolSize: faint ? 3 : 5,
        itemStyle: { color: p.soft, opacity: faint ? 0.35 : 0.6 },
        data: data.trials.map((t): Point => ({
          value: [t.trial, t.mean],
          trial: t.trial,
          tip: [`Trial ${t.trial}, round ${t.round}`, `${score(t.mean)} (${interval(t)})`],
        })),
      },
      { name: 'low', type: 'line', step: 'end', stack: 'band', symbol: 'none', silent: true, lineStyle: { opacity: 0 }, data: line((l) => l.low ?? l.mean) },
      {
        name: '95% interval',
        type: 'line',
        step: 'end',
        stack: 'band',
        symbol: 'none',
        silent: true,
        lineStyle: { opacity: 0 },
        itemStyle: { color: p.accent, opacity: 0.3 },
        areaStyle: { color: p.accent, opacity: 0.14 },
        data: line((l) => (l.high ?? l.mean) - (l.low ?? l.mean)),
      },
      {
        name: 'best so far',
        type: 'line',
        step: 'end',
        symbol: 'circle',
        symbolSize: 4,
        showSymbol: leads.length < 80,
        lineStyle: { color: p.accent, width: 2 },
        itemStyle: { color: p.accent },
        z: 4,
        data: steps.map((l): Point => ({
          value: [l.since, l.mean],
          trial: l.trial,
          tip: [`From trial ${l.since} the plan of trial ${l.trial} leads`, `${score(l.mean)} (${interval(l)})`],
        })),
      },
    ],
    legend: { ...(frame(p)['legend'] as object), data: ['trials', 'best so far', '95% interval'] },
  };
}

export interface Curve {
  model: string;
  points: { samples: number; score: { mean: number; low: number | null; high: number | null }; outside?: boolean }[];
  /** Where it is highest. */
  peak?: { samples: number; mean: number } | null;
}

/** A metric against the number of samples, a line for each model. */
export function scaling(curves: Curve[], metric: string, p: Palette): EChartsCoreOption {
  const samples = [...new Set(curves.flatMap((c) => c.points.map((point) => point.samples)))].sort((a, b) => a - b);
  const values = curves.flatMap((c) => c.points.flatMap(({ score: s }) => [s.low ?? s.mean, s.high ?? s.mean]));
  const [least, most] = bounds(samples);
  const series = curves.flatMap((curve, i) => {
    const color = p.series[i % p.series.length] ?? p.accent;
    const errors = curve.points.map((point) => ({
      value: [point.samples, point.score.low ?? point.score.mean, point.score.high ?? point.score.mean],
      tip: [],
    }));
    return [
      bars(curve.model, color, 0.35, errors),
      {
        name: curve.model,
        type: 'line',
        symbol: 'circle',
        symbolSize: 6,
        lineStyle: { color, width: 1.8 },
        itemStyle: { color },
        z: 3,
        data: curve.points.map((point) => ({
          value: [point.samples, point.score.mean],
          tip: [
            `${curve.model}, ${point.samples} ${point.samples === 1 ? 'sample' : 'samples'}${point.outside === true ? ', beyond the plan budget' : ''}`,
            `${score(point.score.mean)} (${interval(point.score)})`,
            ...(curve.peak?.samples === point.samples ? ['the peak of this curve'] : []),
          ],
          itemStyle: point.outside === true ? { color: p.paper, borderColor: color, borderWidth: 1.5 } : { color },
          symbolSize: curve.peak?.samples === point.samples ? 11 : 6,
          symbol: curve.peak?.samples === point.samples ? 'diamond' : 'circle',
        })),
      },
    ];
  });
  return {
    ...frame(p),
    legend: { ...(frame(p)['legend'] as object), data: curves.map((c) => c.model) },
    xAxis: axis(p, 'samples', {
      type: 'log',
      logBase: 2,
      min: least / 1.12,
      max: most * 1.12,
      splitLine: { show: false },
      axisLabel: { color: p.soft, fontSize: 11, formatter: (v: number) => (Number.isInteger(v) ? String(v) : '') },
    }),
    yAxis: scores(p, metric, values, 0.02),
    tooltip: tooltip(),
    series,
  };
}

/** What each model of a stage is worth at its best count of samples. */
export interface Preference {
  model: string;
  samples: number;
  score: Credible;
}

export function preferences(curves: { stage: string; model: string; points: { samples: number; score: Credible; within_budget: boolean }[] }[], stage: string): Preference[] {
  const best = (curve: (typeof curves)[number]): Preference | null => {
    const within = curve.points.filter((point) => point.within_budget);
    const [first, ...rest] = within;
    if (first === undefined) return null;
    const top = rest.reduce((a, b) => (b.score.mean > a.score.mean ? b : a), first);
    return { model: curve.model, samples: top.samples, score: top.score };
  };
  const found = curves.filter((c) => c.stage === stage).map(best);
  return found.filter((one) => one !== null).sort((a, b) => b.score.mean - a.score.mean);
}

function tooltip(): Record<string, unknown> {
  return {
    trigger: 'item',
    appendTo: 'body',
    className: 'tip',
    borderWidth: 0,
    padding: 0,
    backgroundColor: 'transparent',
    // An element, not a text: names and model output are never read as HTML.
    formatter: (at: { data?: Partial<Point> }) => {
      const box = document.createElement('div');
      for (const line of at.data?.tip ?? []) {
        box.appendChild(document.createElement('div')).textContent = line;
      }
      return box;
    },
  };
}
