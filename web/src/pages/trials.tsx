// All trials: sorted and filtered by the server, and two of them picked for comparison.

import { useEffect, useState } from 'preact/hooks';
import { Link, useLocation } from 'wouter-preact';
import { studyApi } from '../api';
import { amount, cost } from '../format';
import { type Column, type Sorting, Table } from '../table';
import type { Page, Study, TrialRow } from '../types';
import { PlanChips, Score, studyPath } from '../ui';

export function Trials({ study: { glance, summary }, tick }: { study: Study; tick: number }) {
  const [sorting, setSorting] = useState<Sorting>({ by: 'number', down: true });
  const [text, setText] = useState('');
  const [q, setQ] = useState('');
  const [fate, setFate] = useState('');
  const [count, setCount] = useState<Page<TrialRow>>();
  const [picked, setPicked] = useState<number[]>([]);
  const [, go] = useLocation();
  useEffect(() => {
    const timer = setTimeout(() => setQ(text.trim()), 200);
    return () => clearTimeout(timer);
  }, [text]);
  const pick = (trial: number) => setPicked((p) => (p.includes(trial) ? p.filter((t) => t !== trial) : [...p, trial].slice(-2)));
  const params = new URLSearchParams({ sort: sorting.by, down: String(sorting.down), q });
  if (fate !== '') params.set('fate', fate);
  const names = summary.stages.map((s) => s.name);
  const columns: Column<TrialRow>[] = [
    {
      name: 'Compare',
      width: '72px',
      cell: (t) => (
        <input type="checkbox" checked={picked.includes(t.number)} onChange={() => pick(t.number)} aria-label={`Compare trial ${t.number}`} disabled={t.fate !== 'measured'} />
      ),
    },
    { name: 'Trial', width: '72px', sort: 'number', numeric: true, cell: (t) => <Link href={studyPath(glance.name, `/trials/${t.number}`)}>{t.number}</Link> },
    { name: 'Plan', width: 'minmax(260px, 1fr)', cell: (t) => <PlanChips plan={t.plan} stages={names} /> },
    { name: summary.objective, width: '210px', sort: 'objective', numeric: true, cell: (t) => (t.objective === null ? <span class="soft">{t.fate}</span> : <Score value={t.objective} />) },
    { name: 'n', width: '56px', numeric: true, cell: (t) => t.objective?.n ?? '' },
    { name: 'Cost', width: '130px', sort: 'cost', numeric: true, cell: (t) => (t.cost === null ? '' : cost(t.cost, summary.cost_model)) },
    { name: 'Failed', width: '76px', sort: 'failures', numeric: true, cell: (t) => (t.failures === 0 ? '' : t.failures) },
    { name: 'Drawn', width: '90px', sort: 'drawn', numeric: true, cell: (t) => (t.fate === 'measured' ? amount(t.drawn) : '') },
    { name: 'Round', width: '64px', numeric: true, cell: (t) => t.round },
    { name: 'Proposed by', width: '110px', sort: 'method', cell: (t) => t.method },
  ];
  const [a, b] = picked;
  return (
    <section aria-label="Trials">
      <div class="tools">
        <label>
          <span class="unseen">Find trials by the words of their plan</span>
          <input type="search" placeholder="Find: model, ×8, vote, method…" value={text} onInput={(e) => setText(e.currentTarget.value.replaceAll('×', 'x'))} />
        </label>
        <label>
          <span class="unseen">State</span>
          <select value={fate} onChange={(e) => setFate(e.currentTarget.value)}>
            <option value="">all states</option>
            <option value="measured">measured</option>
            <option value="pending">pending</option>
            <option value="abandoned">given up</option>
          </select>
        </label>
        <span class="soft" role="status">
          {count?.complete === false && 'reading… '}
          {count !== undefined && (count.total === count.all ? `${count.all.toLocaleString('en-US')} trials` : `${count.total.toLocaleString('en-US')} of ${count.all.toLocaleString('en-US')} trials`)}
        </span>
        <button type="button" disabled={a === undefined || b === undefined} onClick={() => go(studyPath(glance.name, `/compare?a=${a ?? 0}&b=${b ?? 0}`))}>
          {a === undefined || b === undefined ? 'Compare two: tick them' : `Compare ${a} with ${b}`}
        </button>
      </div>
      <Table
        label="Trials"
        columns={columns}
        url={`${studyApi(glance.name)}/trials?${params.toString()}`}
        tick={tick}
        sorting={sorting}
        onSort={setSorting}
        height={620}
        least={1150}
        nothing={q !== '' || fate !== '' ? 'No trial is like that. Shorten the words, or take all states.' : 'No trials yet.'}
        onPage={setCount}
        isMarked={(t) => t.number === summary.recommended?.trial}
      />
    </section>
  );
}
