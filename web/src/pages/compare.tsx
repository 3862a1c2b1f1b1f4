// Two trials on the examples that both ran on.

import { Link, useSearch } from 'wouter-preact';
import { studyApi, useApi } from '../api';
import { interval, pValue, score, signed } from '../format';
import type { Compared, Study, Trial } from '../types';
import { Crumbs, Loading, PlanChips, Score, Scroll, Tile, Wrong, studyPath, useTitle } from '../ui';

const FINDINGS: Record<string, string> = {
  better: 'A is better than B.',
  worse: 'A is worse than B.',
  'not-worse': 'A is not worse than B by the margin of the pipeline or more; which of them is better cannot be told.',
  'not-distinguishable': 'These examples do not tell them apart.',
};

export function ComparePage({ study }: { study: string }) {
  const search = new URLSearchParams(useSearch());
  const a = Number(search.get('a'));
  const b = Number(search.get('b'));
  useTitle(`Trials ${a} and ${b} of ${study}`);
  const head = useApi<Study>(studyApi(study));
  const two = useApi<Compared>(`${studyApi(study)}/compare?a=${a}&b=${b}`);
  const fault = two.fault ?? head.fault;
  return (
    <>
      <Crumbs parts={[['Studies', '/'], [study, studyPath(study)], ['Trials', studyPath(study, '/trials')], [`${a} and ${b}`, null]]} />
      <div class="page-head">
        <h1>
          Trial {a} against trial {b}
        </h1>
      </div>
      {fault !== undefined && <Wrong fault={fault} again={two.again} />}
      {two.data !== undefined && head.data !== undefined ? (
        <Two study={head.data} two={two.data} />
      ) : (
        fault === undefined && <Loading what="the comparison" rows={8} />
      )}
    </>
  );
}

function Two({ study: { glance, summary }, two }: { study: Study; two: Compared }) {
  const names = summary.stages.map((s) => s.name);
  const { comparison } = two;
  return (
    <>
      <div class="pair">
        <Side name="A" trial={two.a} study={glance.name} stages={names} />
        <Side name="B" trial={two.b} study={glance.name} stages={names} />
      </div>
      {comparison === null ? (
        <p class="note">They ran on no example in common, so they cannot be compared by example. Compare trials that ran on the same part of the split.</p>
      ) : (
        <>
          <p class="finding">{two.finding === null ? '' : FINDINGS[two.finding]}</p>
          <dl class="tiles">
            <Tile name="A minus B, paired" value={signed(comparison.difference.mean)} more={`95%: ${interval(comparison.difference)}`} />
            <Tile name="No difference" value={pValue(comparison.p)} more="two-sided" />
            <Tile name="Examples in common" value={two.examples} more={`A better on ${two.better[0]}, B on ${two.better[1]}, alike on ${two.better[2]}`} />
            <Tile
              name="Examples that would tell"
              value={comparison.examples_needed === null ? '–' : comparison.examples_needed.toLocaleString('en-US')}
              more="for a difference of this size, four times in five"
            />
          </dl>
          {two.different.length > 0 && (
            <section class="panel" aria-labelledby="differ">
              <h2 id="differ">Where they differ</h2>
              <Scroll class="scroll-x" label="Examples at which they differ">
                <table>
                  <thead>
                    <tr>
                      <th scope="col">Example</th>
                      <th scope="col" class="num">A</th>
                      <th scope="col" class="num">B</th>
                      <th scope="col" class="num">A minus B</th>
                      <th scope="col">Why</th>
                    </tr>
                  </thead>
                  <tbody>
                    {two.different.map((d) => {
                      const to = (trial: number) => studyPath(glance.name, `/trials/${trial}/example?id=${encodeURIComponent(d.example)}`);
                      return (
                        <tr key={d.example}>
                          <th scope="row">{d.example}</th>
                          <td class="num">{score(d.a)}</td>
                          <td class="num">{score(d.b)}</td>
                          <td class={`num ${d.a > d.b ? 'good' : 'bad'}`}>{signed(d.a - d.b)}</td>
                          <td>
                            <Link href={to(two.a.number)}>A’s answer<span class="unseen"> to {d.example}</span></Link> ·{' '}
                            <Link href={to(two.b.number)}>B’s answer<span class="unseen"> to {d.example}</span></Link>
                          </td>
                        </tr>
                      );
                    })}
                  </tbody>
                </table>
              </Scroll>
            </section>
          )}
        </>
      )}
    </>
  );
}

function Side({ name, trial, study, stages }: { name: string; trial: Trial; study: string; stages: string[] }) {
  const measured = typeof trial.state === 'object' && 'measured' in trial.state ? trial.state.measured : null;
  return (
    <div class="panel">
      <h2>
        {name}: <Link href={studyPath(study, `/trials/${trial.number}`)}>trial {trial.number}</Link>
      </h2>
      <PlanChips plan={trial.plan} stages={stages} />
      {measured !== null && (
        <p>
          <Score value={measured.objective} /> <span class="soft">95%: {interval(measured.objective)}, n = {measured.objective.n}</span>
        </p>
      )}
    </div>
  );
}
