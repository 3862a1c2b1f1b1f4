// All studies of the store.

import { Link } from 'wouter-preact';
import { Acts } from '../acts';
import { useApi } from '../api';
import { ago, duration } from '../format';
import { useLive } from '../live';
import type { Glance } from '../types';
import { Command, Loading, Meter, PlanChips, Score, StateBadge, Wrong, studyPath, useTitle } from '../ui';

export function Studies() {
  useTitle('Studies');
  const live = useLive(null);
  const { data, fault, again } = useApi<{ store: string; studies: Glance[] }>('/api/studies', live.tick);
  return (
    <>
      <div class="page-head">
        <div>
          <h1>Studies</h1>
          {data !== undefined && (
            <p class="soft">
              {data.studies.length === 1 ? 'One study' : `${data.studies.length} studies`} in {data.store}
            </p>
          )}
        </div>
        <Pulse is={live.isConnected} />
      </div>
      {fault !== undefined && <Wrong fault={fault} again={again} />}
      {data === undefined && fault === undefined && <Loading what="the studies" rows={6} />}
      {data !== undefined && <List studies={data.studies} again={again} />}
    </>
  );
}

/** Whether the page follows what happens. */
export function Pulse({ is }: { is: boolean }) {
  return (
    <span class={`pulse${is ? ' on' : ''}`} role="status">
      {is ? 'live' : 'connecting…'}
    </span>
  );
}

function List({ studies, again }: { studies: Glance[]; again: () => void }) {
  if (studies.length === 0) {
    return (
      <div class="panel empty">
        <h2>No studies yet</h2>
        <p>A search begins one, and it appears here while it runs. To try one at once, without a model:</p>
        <Command text="agenttts demo --tape --store .agenttts/store.db" />
        <p>For a pipeline of your own:</p>
        <Command text="agenttts init my-pipeline && agenttts search my-pipeline" />
      </div>
    );
  }
  const now = Date.now();
  return (
    <ul class="studies">
      {[...studies].reverse().map((study) => (
        <li key={study.name} class="panel">
          <div class="study-row">
            <div class="study-name">
              <Link href={studyPath(study.name)}>{study.name}</Link> <StateBadge study={study} />
              <p class="soft">
                {study.pipeline} · {study.method}
                {study.agent !== null && ` (${study.agent})`} · {ago(study.last_event_ms ?? study.started_ms, now)}
              </p>
            </div>
            <div class="study-best">
              {study.leader === null ? (
                <span class="soft">nothing measured</span>
              ) : (
                <>
                  <Score value={study.leader.objective} />
                  <PlanChips plan={study.leader.plan} />
                </>
              )}
            </div>
            <div class="study-spent">
              <span class="num">
                {study.trials.toLocaleString('en-US')} trials <span class="soft">in {duration(study.seconds)}</span>
              </span>
              {study.spent !== null && study.spent.limit !== null && (
                <Meter label={study.spent.limit} share={study.spent.share} words={`${Math.round(study.spent.share * 100)}%`} />
              )}
              <Acts study={study} again={again} named />
            </div>
          </div>
          {study.state === 'failed' && study.stop_reason !== null && <p class="reason">{study.stop_reason}</p>}
        </li>
      ))}
    </ul>
  );
}
