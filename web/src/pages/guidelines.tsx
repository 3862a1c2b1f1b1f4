// The guidelines that steered the search, beside the trials that they led to.

import { useState } from 'preact/hooks';
import { Link } from 'wouter-preact';
import { studyApi, useApi } from '../api';
import { score, signed } from '../format';
import type { Study, Timeline } from '../types';
import { Loading, Nothing, PlanChips, Score, Wrong, studyPath } from '../ui';

const PAGE = 50;

export function Guidelines({ study: { glance, summary }, tick }: { study: Study; tick: number }) {
  const [offset, setOffset] = useState(0);
  const { data, fault, again } = useApi<Timeline>(`${studyApi(glance.name)}/guidelines?offset=${offset}`, tick);
  if (data === undefined) return fault === undefined ? <Loading what="the guidelines" rows={10} /> : <Wrong fault={fault} again={again} />;
  if (data.total === 0) return <Nothing>No round of proposals yet.</Nothing>;
  const names = summary.stages.map((s) => s.name);
  const written = data.rounds.some((round) => round.guidelines.length > 0);
  return (
    <>
      {!written && <p class="soft">The method {glance.method} writes no guidelines: these are its rounds of proposals.</p>}
      <ol class="timeline" reversed start={data.total - offset}>
        {data.rounds.map((round) => {
          const [from, to] = round.led;
          return (
            <li key={round.round} class="panel">
              <div class="round-head">
                <h2>{round.round === 0 ? 'Initial trials' : `Round ${round.round}`}</h2>
                <span class="soft">
                  {round.trials === 0 ? 'its trials are not proposed yet' : `trials ${round.first}–${round.last}, ${round.measured} of ${round.trials} measured`}
                </span>
                {to !== null && (
                  <span class="num">
                    best so far {score(to)}
                    {from !== null && from !== to && <span class={to > from ? 'good' : 'bad'}> {signed(to - from)}</span>}
                  </span>
                )}
                {round.best !== null && (
                  <>
                    <Score value={round.best.objective} />
                    <PlanChips plan={round.best.plan} stages={names} />
                    <Link href={studyPath(glance.name, `/trials/${round.best.trial}`)}>
                      best of it: trial {round.best.trial}
                    </Link>
                  </>
                )}
              </div>
              {round.guidelines.map((guideline, i) => (
                <blockquote key={i}>
                  {guideline.text}
                  <footer class="soft">written by {guideline.author}</footer>
                </blockquote>
              ))}
            </li>
          );
        })}
      </ol>
      {data.total > PAGE && (
        <div class="tools">
          <button type="button" disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - PAGE))}>
            Newer rounds
          </button>
          <span class="soft">
            {offset + 1}–{Math.min(offset + PAGE, data.total)} of {data.total} rounds
          </span>
          <button type="button" disabled={offset + PAGE >= data.total} onClick={() => setOffset(offset + PAGE)}>
            Older rounds
          </button>
        </div>
      )}
    </>
  );
}
