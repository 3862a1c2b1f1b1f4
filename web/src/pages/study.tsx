// One study: how it stands, and the pages about it.

import { Acts } from '../acts';
import { type Asked, studyApi, useApi } from '../api';
import { amount, cost, duration, estimateWords, interval, pValue, score, signed } from '../format';
import { type Live, useLive } from '../live';
import type { Standing, Study } from '../types';
import { Command, Crumbs, Loading, Meter, PlanChips, Score, Scroll, Serve, StateBadge, Tabs, Tile, Wrong, studyPath, useTitle } from '../ui';
import { Guidelines } from './guidelines';
import { Interplay } from './interplay';
import { Overview } from './overview';
import { Stages } from './stages';
import { Pulse } from './studies';
import { Trials } from './trials';

export function StudyPages({ study, tab }: { study: string; tab: string }) {
  useTitle(study);
  const live = useLive(study);
  const asked = useApi<Study>(studyApi(study), live.tick);
  const { data, fault, again } = asked;
  const tabs: [string, string][] = [
    ['Overview', studyPath(study)],
    ['Trials', studyPath(study, '/trials')],
    ['Stages', studyPath(study, '/stages')],
    ['Interactions', studyPath(study, '/interactions')],
    ['Guidelines', studyPath(study, '/guidelines')],
  ];
  return (
    <>
      <Crumbs parts={[['Studies', '/'], [study, null]]} />
      {data === undefined ? (
        fault === undefined ? <Loading what="the study" rows={10} /> : <Wrong fault={fault} again={again} />
      ) : (
        <>
          <Head study={data} live={live} asked={asked} />
          <Tabs label={`Pages about ${study}`} tabs={tabs} />
          {tab === '' && <Overview study={data} tick={live.tick} below={<Answer study={data} />} />}
          {tab === 'trials' && <Trials study={data} tick={live.tick} />}
          {tab === 'stages' && <Stages study={data} tick={live.tick} />}
          {tab === 'interactions' && <Interplay study={data} tick={live.tick} />}
          {tab === 'guidelines' && <Guidelines study={data} tick={live.tick} />}
        </>
      )}
    </>
  );
}

function Head({ study, live, asked }: { study: Study; live: Live; asked: Asked<Study> }) {
  const { glance, summary } = study;
  const best = glance.leader;
  const { spend } = summary;
  const spendWords = (what: string, value: number) =>
    what === 'usd' ? `$${value.toFixed(3)}` : what === 'minutes' ? duration(value * 60) : amount(value);
  return (
    <>
      <div class="page-head">
        <div>
          <h1>
            {glance.name} <StateBadge study={glance} />
          </h1>
          <p class="soft">
            {summary.description || summary.pipeline} · {glance.method}
            {glance.agent !== null && ` with ${glance.agent}`}
          </p>
        </div>
        <div class="actions">
          <Pulse is={live.isConnected} />
          <a class="button" href={studyPath(glance.name, '/report')}>
            Report
          </a>
          {best !== null && (
            <a class="button" href={`${studyApi(glance.name)}/plan`} download>
              Export the plan
            </a>
          )}
          <Acts study={glance} again={asked.again} />
        </div>
      </div>
      {asked.fault !== undefined && <Wrong fault={asked.fault} again={asked.again} />}
      <Why study={study} />
      <dl class="tiles">
        <Tile
          name={`Best so far, ${summary.objective}`}
          value={best === null ? '–' : score(best.objective.mean)}
          more={best === null ? 'nothing measured yet' : `${interval(best.objective)}, n = ${best.objective.n}`}
        />
        <Tile
          name="Cost of a query"
          value={best === null ? '–' : cost(best.cost, summary.cost_model)}
          more={`plan budget ${cost(summary.plan_budget, summary.cost_model)}`}
        />
        <Tile
          name="Trials"
          value={glance.trials.toLocaleString('en-US')}
          more={`${amount(summary.space[1])} plans are within the budget`}
        />
        <Tile
          name="Spent"
          value={study.complete ? (spend.usd !== null && spend.usd > 0 ? `$${spend.usd.toFixed(3)}` : `${amount(spend.total.prompt + spend.total.decode)} tokens`) : '…'}
          more={study.complete ? `${amount(spend.total.calls)} calls in ${duration(spend.seconds)}` : 'being added up'}
        />
        <UnderWay at={live.standing ?? glance} />
        {spend.limits.length > 0 && (
          <div class="tile meters">
            <dt>Search budget</dt>
            <dd>
              {spend.limits.map((l) => (
                <Meter key={l.what} label={l.what} share={l.limit > 0 ? l.used / l.limit : 1} words={`${spendWords(l.what, l.used)} of ${spendWords(l.what, l.limit)}`} />
              ))}
            </dd>
          </div>
        )}
      </dl>
    </>
  );
}

/** How far the present trial is, or the final test with one of its plans. */
function UnderWay({ at }: { at: Standing }) {
  const now = at.is_run ? at.under_way : null;
  if (now === null) return null;
  return (
    <div class="tile meters">
      <dt>Under way</dt>
      <dd>
        <Meter label={now.trial === null ? 'final test' : `trial ${now.trial}`} share={now.done / now.total} words={`${now.done} of ${now.total} examples`} />
      </dd>
    </div>
  );
}

/** Why the study does not run, and how it goes on. */
function Why({ study: { glance, resume_fault } }: { study: Study }) {
  const isKilled = glance.state === 'running' && !glance.is_run;
  if (resume_fault === null && !isKilled && (glance.state === 'done' || glance.state === 'running')) return null;
  return (
    <div class="note">
      {resume_fault !== null && <p>It was resumed here and ended with an error: {resume_fault}</p>}
      {isKilled && <p>No process runs this study: it was killed. Everything that it stored is there, and it can go on.</p>}
      {!isKilled && glance.stop_reason !== null && <p>Stopped: {glance.stop_reason}.</p>}
      {glance.state === 'limit' && (
        <p>
          It goes on with <Command text={`agenttts search --resume ${glance.name} --search-budget LIMITS`} />
        </p>
      )}
    </div>
  );
}

/** The recommended plan, and how it did on the test examples. */
function Answer({ study: { glance, summary } }: { study: Study }) {
  const { recommended, confirmation, stages } = summary;
  if (recommended === null) return null;
  const names = stages.map((s) => s.name);
  return (
    <section class="panel answer" aria-labelledby="answer">
      <h2 id="answer">Recommended plan</h2>
      <PlanChips plan={recommended.plan} stages={names} />
      <p>{recommended.why}</p>
      <Serve study={glance.name} trial={null} />
      {confirmation !== null && (
        <Scroll class="scroll-x" label="The recommended plan and the baselines">
          <table>
            <caption>On the {confirmation.examples} test examples, which the search did not see</caption>
            <thead>
              <tr>
                <th scope="col">Plan</th>
                <th scope="col" class="num">
                  {summary.objective}
                </th>
                <th scope="col" class="num">
                  Cost
                </th>
                <th scope="col" class="num">
                  Recommended minus this
                </th>
                <th scope="col">Verdict</th>
              </tr>
            </thead>
            <tbody>
              {confirmation.plans.map((plan) => (
                <tr key={plan.label}>
                  <th scope="row">
                    {plan.label} <PlanChips plan={plan.plan} stages={names} />
                  </th>
                  <td class="num">
                    <Score value={plan.objective} />
                  </td>
                  <td class="num">{cost(plan.cost.mean, summary.cost_model)}</td>
                  <td class="num" title={plan.difference === null ? undefined : estimateWords(plan.difference)}>
                    {plan.difference === null ? '–' : `${signed(plan.difference.mean)}${plan.p === null || plan.p === undefined ? '' : `, ${pValue(plan.p)}`}`}
                  </td>
                  <td>{plan.verdict ?? ''}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {confirmation.untested != null && <p class="soft">{confirmation.untested}</p>}
        </Scroll>
      )}
    </section>
  );
}
