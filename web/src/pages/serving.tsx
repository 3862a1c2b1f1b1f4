// What is served here: traffic, cost, latency, and whether it drifts from what the search measured.

import { useEffect, useState } from 'preact/hooks';
import { Link } from 'wouter-preact';
import { useApi } from '../api';
import { amount, cost, duration } from '../format';
import type { CostModel, Estimate, Usage } from '../types';
import { Command, Loading, Scroll, Tile, Wrong, studyPath, useTitle } from '../ui';

interface Spread {
  mean: number;
  n: number;
}

interface Served {
  name: string;
  /** Name, and a hash of all that decides how it answers. */
  plan: string;
  study: string;
  trial: number | null;
  cost_model: CostModel;
  measured: { objective: string; quality: Estimate; cost: Estimate } | null;
  traffic: { requests: Record<string, number>; usage: Usage; usd: number; seconds: number };
  drift: {
    state: 'ok' | 'drifting' | 'unknown';
    why: string[];
    compared: { what: string; expected: Spread; served: Spread; z: number; drifts: boolean }[];
  };
  front?: Served[];
}

interface AllServed {
  running: number;
  waiting: number;
  plans: Served[];
}

const EVERY_MS = 3000;

export function Serving() {
  useTitle('Serving');
  const [tick, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTick((n) => n + 1), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const { data, fault, again } = useApi<AllServed>('/api/serving', tick);
  return (
    <>
      <div class="page-head">
        <div>
          <h1>Serving</h1>
          <p class="soft">Served traffic against what the search measured.</p>
        </div>
        {data !== undefined && data.plans.length > 0 && (
          <span class="soft num">
            {data.running} running, {data.waiting} waiting
          </span>
        )}
      </div>
      {data === undefined && fault === undefined && <Loading what="what is served" />}
      {fault !== undefined && <Wrong fault={fault} again={again} />}
      {data?.plans.length === 0 && (
        <div class="panel empty">
          <h2>Nothing is served here</h2>
          <p>
            <code>agenttts ui</code> shows studies only. This page fills itself where a server answers requests with a found plan:
          </p>
          <Command text="agenttts serve STUDY.plan.toml" />
        </div>
      )}
      {data?.plans.map((plan) => (
        <PlanView key={plan.plan} plan={plan} title={plan.name} />
      ))}
    </>
  );
}

const KINDS: Record<string, string> = { ok: 'good', drifting: 'bad', unknown: '' };

function PlanView({ plan, title }: { plan: Served; title: string }) {
  const { traffic, drift, measured } = plan;
  const all = Object.values(traffic.requests).reduce((a, b) => a + b, 0);
  const failed = all - (traffic.requests['ok'] ?? 0);
  const front = plan.front ?? [];
  return (
    <section class="panel" aria-labelledby={`plan-${plan.plan}`}>
      <div class="stage-head">
        <h2 id={`plan-${plan.plan}`}>{title}</h2>
        <span class={`badge ${KINDS[drift.state] ?? ''}`}>{drift.state === 'unknown' ? 'too little to judge' : drift.state}</span>
        <Link href={studyPath(plan.study, plan.trial === null ? '' : `/trials/${plan.trial}`)}>
          study {plan.study}
          {plan.trial !== null && `, trial ${plan.trial}`}
        </Link>
      </div>
      {drift.why.map((why) => (
        <p key={why} class={drift.state === 'drifting' ? 'bad' : 'soft'}>
          {why}
        </p>
      ))}
      <dl class="tiles served">
        <Tile name="Requests" value={amount(all)} more={failed === 0 ? 'none failed' : `${amount(failed)} not answered`} />
        <Tile name="Seconds of a request" value={all === 0 ? '–' : duration(traffic.seconds / all)} more="on average" />
        <Tile name="Tokens" value={amount(traffic.usage.prompt + traffic.usage.decode)} more={`${amount(traffic.usage.calls)} calls`} />
        <Tile name="Dollars" value={`$${traffic.usd.toFixed(4)}`} more="where models have prices" />
        {measured !== null && (
          <Tile name={`Measured, ${measured.objective}`} value={measured.quality.mean.toFixed(3)} more={`${cost(measured.cost.mean, plan.cost_model)} per query`} />
        )}
      </dl>
      {drift.compared.length > 0 && (
        <Scroll class="scroll-x" label="Compared">
          <table>
            <caption>The last requests against what was measured</caption>
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col" class="num">Measured</th>
                <th scope="col" class="num">Served</th>
                <th scope="col" class="num">Standard errors apart</th>
                <th scope="col">State</th>
              </tr>
            </thead>
            <tbody>
              {drift.compared.map((one) => (
                <tr key={one.what}>
                  <th scope="row">{one.what}</th>
                  <td class="num">{amount(one.expected.mean)}</td>
                  <td class="num">{amount(one.served.mean)}</td>
                  <td class="num">{one.z.toFixed(1)}</td>
                  <td class={one.drifts ? 'bad' : 'good'}>{one.drifts ? 'drifts' : 'ok'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {front.length > 0 && (
        <details>
          <summary>Plans of its front ({front.length})</summary>
          {front.map((other) => (
            <PlanView key={other.plan} plan={other} title={`${other.name}, trial ${String(other.trial)}`} />
          ))}
        </details>
      )}
    </section>
  );
}
