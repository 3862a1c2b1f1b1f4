// What models and samples do to each stage.

import { studyApi, useApi } from '../api';
import { Chart } from '../charts/chart';
import { type Curve, preferences, scaling } from '../charts/options';
import { interval, score } from '../format';
import type { Explanation, FittedCurve, Insights, Study } from '../types';
import { Loading, Nothing, Scroll, Wrong } from '../ui';

export function Stages({ study, tick }: { study: Study; tick: number }) {
  const { data, fault, again } = useApi<Insights>(`${studyApi(study.glance.name)}/insights`, tick);
  if (data === undefined) return fault === undefined ? <Loading what="the stages" rows={10} /> : <Wrong fault={fault} again={again} />;
  if (!data.complete && data.explanation === null) return <Loading what="what the trials tell" rows={10} />;
  if (data.missing !== null) return <Nothing>{data.missing}</Nothing>;
  const { explanation } = data;
  return (
    <>
      <Words explanation={explanation} />
      {study.summary.stages.map((stage) => {
        const fitted = explanation?.curves.filter((c) => c.stage === stage.name) ?? [];
        const measured = data.curves.filter((c) => c.stage === stage.name && c.points.length > 1);
        if (fitted.length === 0 && measured.length === 0) {
          return (
            <section key={stage.name} aria-label={stage.name}>
              <h2>{stage.name}</h2>
              <Nothing>Too few trials tell of this stage yet.</Nothing>
            </section>
          );
        }
        return (
          <section key={stage.name} aria-label={stage.name}>
            <h2>{stage.name}</h2>
            <div class="pair">
              {fitted.length > 0 && <Fitted curves={fitted} stage={stage.name} objective={study.summary.objective} />}
              {measured.length > 0 && (
                <Chart
                  title="Its own metric, measured"
                  label={`${stage.metric ?? 'the metric'} of ${stage.name} against samples for ${measured.length} models. The table has the numbers.`}
                  note={`From the trial that drew most samples with each model: ${measured.map((c) => `${c.model} trial ${c.trial}`).join(', ')}. Points of a curve share their draws.`}
                  option={(p) => scaling(measured, stage.metric ?? 'score', p)}
                  of={measured}
                  table={<CurveTable curves={measured} />}
                />
              )}
              <Preferred curves={fitted} stage={stage.name} />
            </div>
          </section>
        );
      })}
      {explanation !== null && explanation.importance.length > 0 && <Importance explanation={explanation} />}
    </>
  );
}

/** What can be said in sentences. */
export function Words({ explanation }: { explanation: Explanation | null }) {
  if (explanation === null || explanation.words.length === 0) return <Nothing>Nothing can be said yet: too few plans were measured.</Nothing>;
  return (
    <ul class="words panel">
      {explanation.words.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}

function Fitted({ curves, stage, objective }: { curves: FittedCurve[]; stage: string; objective: string }) {
  const shown: Curve[] = curves.map((c) => {
    const at = c.points.find((point) => point.samples === c.peak?.samples);
    return {
      model: c.model,
      points: c.points.map((point) => ({ ...point, outside: !point.within_budget })),
      peak: c.peak === null || at === undefined ? null : { samples: c.peak.samples, mean: at.score.mean },
    };
  });
  const peaks = curves.flatMap((c) => (c.peak === null ? [] : [`${c.model} at ${c.peak.samples} (${c.peak.low}–${c.peak.high})`]));
  return (
    <Chart
      title="The objective, as believed"
      label={`${objective} against samples of ${stage} for ${curves.length} models. Peaks: ${peaks.join(', ')}. The table has the numbers.`}
      note={`Other stages as in the recommended plan. ◆ marks peaks: ${peaks.join(', ') || 'none'}. Hollow points are beyond the plan budget.`}
      option={(p) => scaling(shown, objective, p)}
      of={curves}
      table={<CurveTable curves={shown} />}
    />
  );
}

function CurveTable({ curves }: { curves: Curve[] }) {
  const counts = [...new Set(curves.flatMap((c) => c.points.map((p) => p.samples)))].sort((a, b) => a - b);
  return (
    <table>
      <thead>
        <tr>
          <th scope="col" class="num">Samples</th>
          {curves.map((c) => (
            <th scope="col" class="num" key={c.model}>{c.model}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {counts.map((count) => (
          <tr key={count}>
            <th scope="row" class="num">{count}</th>
            {curves.map((c) => {
              const point = c.points.find((p) => p.samples === count);
              return (
                <td class="num" key={c.model}>
                  {point === undefined ? '' : score(point.score.mean)}
                  {point !== undefined && <span class="soft"> {interval(point.score)}</span>}
                  {c.peak?.samples === count && ' ◆'}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Insight 1: what each model is worth here. */
function Preferred({ curves, stage }: { curves: FittedCurve[]; stage: string }) {
  const ranked = preferences(curves, stage);
  if (ranked.length < 2) return null;
  return (
    <div class="panel">
      <h3>Which model it prefers</h3>
      <table>
        <caption class="soft">The objective with each model at its best number of samples within the budget</caption>
        <tbody>
          {ranked.map((one) => (
            <tr key={one.model}>
              <th scope="row">
                {one.model} <span class="soft">×{one.samples}</span>
              </th>
              <td class="wide">
                <span class="iv long" aria-hidden="true">
                  <i style={{ left: `${Math.max(0, one.score.low) * 100}%`, width: `${(Math.min(1, one.score.high) - Math.max(0, one.score.low)) * 100}%` }} />
                  <b style={{ left: `${one.score.mean * 100}%` }} />
                </span>
              </td>
              <td class="num">
                {score(one.score.mean)} <span class="soft">{interval(one.score)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Importance({ explanation }: { explanation: Explanation }) {
  return (
    <section class="panel" aria-labelledby="importance">
      <h2 id="importance">What matters</h2>
      <Scroll class="scroll-x" label="What matters">
        <table>
          <caption class="soft">The share of what distinguishes plans that each choice explains</caption>
          <thead>
            <tr>
              <th scope="col">Choice</th>
              <th scope="col">Share</th>
              <th scope="col">Best</th>
              <th scope="col">Worst</th>
              <th scope="col" class="num">Effect</th>
            </tr>
          </thead>
          <tbody>
            {explanation.importance.map((one) => (
              <tr key={`${one.factor.stage} ${one.factor.part}`}>
                <th scope="row">
                  {one.factor.stage} {one.factor.part}
                </th>
                <td class="bar" title={`95%: ${(one.share.low * 100).toFixed(0)}–${(one.share.high * 100).toFixed(0)}%`}>
                  <i style={{ width: `${one.share.mean * 100}%` }} />
                  <span>{(one.share.mean * 100).toFixed(0)}%</span>
                </td>
                <td>{one.best}</td>
                <td>{one.worst}</td>
                <td class="num">
                  {score(one.effect.mean)} <span class="soft">{interval(one.effect)}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}
