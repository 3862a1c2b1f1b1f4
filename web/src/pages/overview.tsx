// How the search went, and which plans are worth their cost.

import type { ComponentChildren } from 'preact';
import { Link, useLocation } from 'wouter-preact';
import { studyApi, useApi } from '../api';
import { Chart } from '../charts/chart';
import { pareto, progress } from '../charts/options';
import { cost, score } from '../format';
import type { PlanPoint, Plans, Progress, Study } from '../types';
import { Loading, Nothing, PlanChips, Score, Scroll, Wrong, studyPath } from '../ui';

export function Overview({ study, tick, below }: { study: Study; tick: number; below: ComponentChildren }) {
  const { glance, summary } = study;
  const way = useApi<Progress>(`${studyApi(glance.name)}/progress`, tick);
  const plans = useApi<Plans>(`${studyApi(glance.name)}/plans`, tick);
  const [, go] = useLocation();
  const toTrial = (trial: number) => go(studyPath(glance.name, `/trials/${trial}`));
  const stages = summary.stages.map((s) => s.name);
  return (
    <>
      <div class="pair">
        {way.data !== undefined ? (
          way.data.measured === 0 ? (
            <Nothing>No trial has been measured yet. This page fills itself when one is.</Nothing>
          ) : (
            <Progressed data={way.data} objective={summary.objective} pick={toTrial} study={glance.name} />
          )
        ) : way.fault !== undefined ? (
          <Wrong fault={way.fault} again={way.again} />
        ) : (
          <Loading what="the course of the search" rows={8} />
        )}
        {plans.data !== undefined ? (
          plans.data.measured > 0 && (
            <Chart
              title="Cost against quality"
              label={`${plans.data.measured} measured plans by cost and ${summary.objective}; ${plans.data.front.length} are on the front. The table has them.`}
              note={frontNote(plans.data)}
              option={(p) => pareto(plans.data as Plans, summary.cost_model, summary.plan_budget, stages, summary.objective, p)}
              of={plans.data}
              onPick={toTrial}
              table={<FrontTable study={study} plans={plans.data} />}
            />
          )
        ) : plans.fault !== undefined ? (
          <Wrong fault={plans.fault} again={plans.again} />
        ) : (
          <Loading what="the plans" rows={8} />
        )}
      </div>
      {below}
      {plans.data !== undefined && plans.data.front.length > 0 && (
        <section class="panel" aria-labelledby="front">
          <h2 id="front">Plans worth their cost</h2>
          <p class="soft">{frontNote(plans.data)}</p>
          <FrontTable study={study} plans={plans.data} />
        </section>
      )}
    </>
  );
}

function frontNote(plans: Plans): string {
  const by = plans.is_believed
    ? 'Judged by what is believed of each plan, what related plans tell included'
    : plans.complete
      ? 'So many plans are judged by their own means'
      : 'Judged by their own means until what is believed of them is worked out';
  return `No measured plan is both cheaper and better than one of these. ${by}. Click a plan to look at it.`;
}

function Progressed({ data, objective, pick, study }: { data: Progress; objective: string; pick: (t: number) => void; study: string }) {
  const last = data.leads.at(-1);
  const words = last === undefined ? '' : ` The plan of trial ${last.trial} leads with ${score(last.mean)}.`;
  const reading = data.complete ? '' : ` ${data.measured.toLocaleString('en-US')} trials are read so far.`;
  const thinned = data.trials.length < data.measured ? ` ${data.trials.length} of the ${data.measured.toLocaleString('en-US')} trials are drawn, evenly.` : '';
  return (
    <Chart
      title="Best so far"
      label={`${objective} by trial.${words} The table lists each change of the leading plan.`}
      note={`The line is the leading plan with all its trials pooled; it may fall when a plan that led by luck is tried again.${reading}${thinned}`}
      option={(p) => progress(data, objective, p)}
      of={data}
      onPick={pick}
      table={
        <table>
          <thead>
            <tr>
              <th scope="col" class="num">From trial</th>
              <th scope="col" class="num">Leading plan of trial</th>
              <th scope="col" class="num">{objective}</th>
            </tr>
          </thead>
          <tbody>
            {[...data.leads].reverse().map((lead) => (
              <tr key={lead.since}>
                <td class="num">{lead.since}</td>
                <td class="num">
                  <Link href={studyPath(study, `/trials/${lead.trial}`)}>{lead.trial}</Link>
                </td>
                <td class="num">
                  {score(lead.mean)}
                  {lead.low !== null && lead.high !== null && <span class="soft"> {score(lead.low)} – {score(lead.high)}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      }
    />
  );
}

function FrontTable({ study: { glance, summary }, plans }: { study: Study; plans: Plans }) {
  const names = summary.stages.map((s) => s.name);
  const row = (plan: PlanPoint) => (
    <tr key={plan.trial} class={plan.trial === plans.chosen ? 'marked' : ''}>
      <td class="num">
        <Link href={studyPath(glance.name, `/trials/${plan.trial}`)}>{plan.trial}</Link>
      </td>
      <td>
        <PlanChips plan={plan.plan} stages={names} />
        {plan.trial === plans.chosen && <span class="badge star">{plans.is_recommended ? 'recommended' : 'leading'}</span>}
      </td>
      <td class="num">{cost(plan.cost.mean, summary.cost_model)}</td>
      <td class="num">
        <Score value={plan.objective} />
      </td>
      <td>
        <a href={`${studyApi(glance.name)}/plan?trial=${plan.trial}`} download>
          Export<span class="unseen"> the plan of trial {plan.trial}</span>
        </a>
      </td>
    </tr>
  );
  const chosen = plans.others.filter((plan) => plan.trial === plans.chosen);
  return (
    <Scroll class="scroll-x" label="Plans worth their cost">
      <table>
        <thead>
          <tr>
            <th scope="col" class="num">Trial</th>
            <th scope="col">Plan</th>
            <th scope="col" class="num">Cost</th>
            <th scope="col" class="num">{summary.objective}</th>
            <th scope="col">Plan file</th>
          </tr>
        </thead>
        <tbody>{[...plans.front, ...chosen].map(row)}</tbody>
      </table>
    </Scroll>
  );
}
