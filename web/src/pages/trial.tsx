// One trial: its plan, what it measured, and its examples.

import { useEffect, useState } from 'preact/hooks';
import { Link } from 'wouter-preact';
import { studyApi, useApi } from '../api';
import { amount, cost, duration, score } from '../format';
import { type Column, type Sorting, Table } from '../table';
import type { ExamplePage, ExampleRow, Study, TrialPage } from '../types';
import { Crumbs, Loading, Score, Scroll, Serve, Tile, Wrong, studyPath, useTitle } from '../ui';

export function TrialPageView({ study, trial }: { study: string; trial: number }) {
  useTitle(`Trial ${trial} of ${study}`);
  const head = useApi<Study>(studyApi(study));
  const one = useApi<TrialPage>(`${studyApi(study)}/trials/${trial}`);
  const fault = head.fault ?? one.fault;
  return (
    <>
      <Crumbs parts={[['Studies', '/'], [study, studyPath(study)], ['Trials', studyPath(study, '/trials')], [`Trial ${trial}`, null]]} />
      {fault !== undefined && <Wrong fault={fault} again={one.again} />}
      {head.data !== undefined && one.data !== undefined ? (
        <One study={head.data} page={one.data} />
      ) : (
        fault === undefined && <Loading what="the trial" rows={10} />
      )}
    </>
  );
}

function One({ study, page }: { study: Study; page: TrialPage }) {
  const { glance, summary } = study;
  const { trial } = page;
  const measured = typeof trial.state === 'object' && 'measured' in trial.state ? trial.state.measured : null;
  const abandoned = typeof trial.state === 'object' && 'abandoned' in trial.state ? trial.state.abandoned : null;
  return (
    <>
      <div class="page-head">
        <div>
          <h1>Trial {trial.number}</h1>
          <p class="soft">
            Round {trial.round}, proposed by {trial.origin.method}: {trial.origin.reason}
          </p>
          {trial.origin.repairs?.map((repair) => (
            <p key={repair} class="soft">
              Repaired: {repair}
            </p>
          ))}
          <Serve study={glance.name} trial={trial.number} />
        </div>
        <div class="actions">
          {page.before !== null && (
            <Link class="button" href={studyPath(glance.name, `/trials/${page.before}`)} aria-label={`Trial ${page.before}`}>
              ← {page.before}
            </Link>
          )}
          {page.after !== null && (
            <Link class="button" href={studyPath(glance.name, `/trials/${page.after}`)} aria-label={`Trial ${page.after}`}>
              {page.after} →
            </Link>
          )}
          <a class="button" href={`${studyApi(glance.name)}/plan?trial=${trial.number}`} download>
            Export the plan
          </a>
          <Link class="button" href={`/playground?study=${encodeURIComponent(glance.name)}&a=${trial.number}`}>
            Try it
          </Link>
        </div>
      </div>
      {measured !== null && (
        <dl class="tiles">
          <Tile name={summary.objective} value={score(measured.objective.mean)} more={<Score value={measured.objective} />} />
          {page.pooled !== null && (
            <Tile
              name={`All ${page.trials.length} trials of this plan`}
              value={score(page.pooled.mean)}
              more={<span>n = {page.pooled.n}: trials {page.trials.map((n, i) => (
                <span key={n}>{i > 0 && ', '}<Link href={studyPath(glance.name, `/trials/${n}`)}>{n}</Link></span>
              ))}</span>}
            />
          )}
          <Tile name="Cost of a query" value={cost(measured.cost.mean, summary.cost_model)} more={`expected ${cost(page.nominal, summary.cost_model)}`} />
          <Tile
            name="Tokens drawn"
            value={amount(measured.drawn.prompt + measured.drawn.decode)}
            more={`of ${amount(measured.fresh.prompt + measured.fresh.decode)} from nothing, in ${duration(measured.seconds)}`}
          />
          <Tile name="Failed examples" value={measured.failures} more={measured.failure_reasons?.[0] ?? 'of ' + String(measured.objective.n)} />
        </dl>
      )}
      {measured?.raced_out !== undefined && <p class="note">It ended early: its plan had fallen behind beyond doubt.</p>}
      {abandoned !== null && <p class="note">Given up: {abandoned}</p>}
      {trial.state === 'pending' && <p class="note">It has not run yet.</p>}
      <section class="panel" aria-labelledby="plan">
        <h2 id="plan">Plan</h2>
        <Scroll class="scroll-x" label="The plan">
          <table>
            <thead>
              <tr>
                <th scope="col">Stage</th>
                <th scope="col">Model</th>
                <th scope="col" class="num">Samples</th>
                <th scope="col">Combined by</th>
                <th scope="col" class="num">Temperature</th>
                <th scope="col" class="num">Its metric</th>
              </tr>
            </thead>
            <tbody>
              {trial.plan.map((choice, i) => {
                const metric = measured?.stages[i];
                return (
                  <tr key={i}>
                    <th scope="row">{summary.stages[i]?.name ?? `stage ${i + 1}`}</th>
                    <td>{choice.model}</td>
                    <td class="num">{choice.samples}</td>
                    <td>{choice.samples > 1 ? choice.aggregator : '–'}</td>
                    <td class="num">{choice.temperature}</td>
                    <td class="num">{metric === null || metric === undefined ? '–' : <Score value={metric} />}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </Scroll>
        <p class="soft">{page.span === null ? 'On all examples of the search split.' : `On examples ${page.span} of the study's order.`}</p>
      </section>
      {measured !== null && <Examples study={study} trial={trial.number} />}
    </>
  );
}

function Examples({ study: { glance, summary }, trial }: { study: Study; trial: number }) {
  const [sorting, setSorting] = useState<Sorting>({ by: 'objective', down: false });
  const [only, setOnly] = useState('all');
  const [text, setText] = useState('');
  const [q, setQ] = useState('');
  const [page, setPage] = useState<ExamplePage>();
  useEffect(() => {
    const timer = setTimeout(() => setQ(text.trim()), 200);
    return () => clearTimeout(timer);
  }, [text]);
  const params = new URLSearchParams({ sort: sorting.by, down: String(sorting.down), only, q });
  const stages = summary.stages;
  const columns: Column<ExampleRow>[] = [
    {
      name: 'Example',
      width: 'minmax(120px, 200px)',
      sort: 'example',
      cell: (e) => (
        <Link class="cut" href={studyPath(glance.name, `/trials/${trial}/example?id=${encodeURIComponent(e.example)}`)}>
          {e.example}
        </Link>
      ),
    },
    { name: 'Score', width: '80px', sort: 'objective', numeric: true, cell: (e) => <b class={e.objective >= 1 ? 'good' : e.objective <= 0 ? 'bad' : ''}>{score(e.objective)}</b> },
    ...stages.map((stage, i): Column<ExampleRow> => ({
      name: stage.name,
      width: 'minmax(180px, 1fr)',
      cell: (e) => {
        const cell = e.stages[i];
        if (cell === undefined) return <span class="soft">not reached</span>;
        if (cell.skipped) return <span class="soft">skipped</span>;
        return (
          <span class="out">
            <span class="cut">{cell.output ?? (cell.samples > 0 ? 'no output' : '–')}</span>
            <span class="soft num">
              {cell.score !== null && `${score(cell.score)} `}
              {cell.support !== null && cell.samples > 1 && `${Math.round(cell.support * 100)}% of ${cell.samples}`}
            </span>
          </span>
        );
      },
    })),
    { name: 'Agreement', width: '96px', sort: 'support', numeric: true, cell: (e) => { const s = [...e.stages].reverse().find((c) => c.support !== null)?.support; return s === null || s === undefined ? '' : `${Math.round(s * 100)}%`; } },
    { name: 'Cost', width: '120px', sort: 'cost', numeric: true, cell: (e) => cost(e.cost, summary.cost_model) },
  ];
  return (
    <section aria-labelledby="examples">
      <h2 id="examples">Examples</h2>
      <div class="tools">
        <label>
          <span class="unseen">Find examples by id</span>
          <input type="search" placeholder="Find an example" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <label>
          <span class="unseen">Which examples</span>
          <select value={only} onChange={(e) => setOnly(e.currentTarget.value)}>
            <option value="all">all examples</option>
            <option value="imperfect">scored below 1</option>
            <option value="failed">failed</option>
          </select>
        </label>
        <span class="soft" role="status">{page !== undefined && `${page.total} of ${page.all} examples`}</span>
      </div>
      <Table
        label={`Examples of trial ${trial}`}
        columns={columns}
        url={`${studyApi(glance.name)}/trials/${trial}/examples?${params.toString()}`}
        sorting={sorting}
        onSort={setSorting}
        height={520}
        rowHeight={48}
        least={520 + 200 * stages.length}
        nothing="No example is like that."
        onPage={(p) => setPage(p as ExamplePage)}
      />
    </section>
  );
}
