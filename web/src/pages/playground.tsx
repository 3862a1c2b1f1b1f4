// One input through two plans side by side.

import { useEffect, useState } from 'preact/hooks';
import { useSearch } from 'wouter-preact';
import { type Fault, change, faultFrom, studyApi, useApi } from '../api';
import { choiceWords, duration, planWords, valueText } from '../format';
import type { ExamplePage, Glance, Json, Plans, Reply, Trace } from '../types';
import { Loading, Nothing, Value, Wrong, useTitle } from '../ui';

export function Playground() {
  useTitle('Playground');
  const search = new URLSearchParams(useSearch());
  const { data, fault, again } = useApi<{ studies: Glance[] }>('/api/studies');
  const studies = data?.studies.filter((s) => s.leader !== null) ?? [];
  return (
    <>
      <div class="page-head">
        <div>
          <h1>Playground</h1>
          <p class="soft">One input through two plans of a study, answered as <code>agenttts run</code> answers it. Nothing of it is stored.</p>
        </div>
      </div>
      {fault !== undefined && <Wrong fault={fault} again={again} />}
      {data === undefined && fault === undefined && <Loading what="the studies" />}
      {data !== undefined && studies.length === 0 && <Nothing>No study has measured a plan yet.</Nothing>}
      {studies.length > 0 && <Form studies={studies} study={search.get('study')} a={search.get('a')} />}
    </>
  );
}

function Form({ studies, study, a }: { studies: Glance[]; study: string | null; a: string | null }) {
  const first = studies.find((s) => s.name === study) ?? studies.at(-1);
  const [name, setName] = useState(first?.name ?? '');
  const [plans, setPlans] = useState<[string, string]>([a ?? '', '']);
  const [text, setText] = useState('');
  const [replies, setReplies] = useState<Reply[]>();
  const [fault, setFault] = useState<Fault>();
  const [isBusy, setBusy] = useState(false);
  useExample(name, studies, setText);
  const known = useApi<Plans>(name === '' ? null : `${studyApi(name)}/plans`);
  const submit = (event: Event) => {
    event.preventDefault();
    setFault(undefined);
    let fields: Json;
    try {
      fields = JSON.parse(text) as Json;
    } catch (error) {
      const message = error instanceof Error ? error.message : '';
      setFault({ status: 1, message: `The input is not JSON: ${message}`, hint: 'Write an object with the fields that the templates read.' });
      return;
    }
    const tried = plans.map((trial) => (trial.trim() === '' ? { study: name } : { study: name, trial: Number(trial) }));
    setBusy(true);
    change<Reply[]>('/api/playground', { fields, plans: tried })
      .then(setReplies)
      .catch((error: unknown) => setFault(faultFrom(error)))
      .finally(() => setBusy(false));
  };
  const side = (i: 0 | 1, label: string) => (
    <label>
      {label}
      <input
        list="plans"
        inputMode="numeric"
        pattern="[0-9]*"
        placeholder="the recommended plan"
        value={plans[i]}
        onInput={(e) => setPlans(i === 0 ? [e.currentTarget.value, plans[1]] : [plans[0], e.currentTarget.value])}
      />
    </label>
  );
  return (
    <>
      <form class="panel play" onSubmit={submit}>
        <div class="play-row">
          <label>
            Study
            <select value={name} onChange={(e) => setName(e.currentTarget.value)}>
              {[...studies].reverse().map((s) => (
                <option key={s.name}>{s.name}</option>
              ))}
            </select>
          </label>
          {side(0, 'Plan A: number of its trial')}
          {side(1, 'Plan B: number of its trial')}
        </div>
        <label>
          Input: a JSON object with the fields that the pipeline reads
          <textarea rows={8} spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <datalist id="plans">
          {known.data?.front.map((plan) => (
            <option key={plan.trial} value={plan.trial}>
              {planWords(plan.plan)}
            </option>
          ))}
        </datalist>
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? 'Answering…' : 'Answer'}
        </button>
      </form>
      {fault !== undefined && <Wrong fault={fault} />}
      <div class="pair" aria-live="polite">
        {replies?.map((reply, i) => (
          <ReplyView key={i} reply={reply} name={i === 0 ? 'A' : 'B'} />
        ))}
      </div>
    </>
  );
}

/** Fills the input with an example of the study. */
function useExample(study: string, studies: Glance[], set: (text: string) => void): void {
  const trial = studies.find((s) => s.name === study)?.leader?.trial;
  const page = useApi<ExamplePage>(trial === undefined ? null : `${studyApi(study)}/trials/${trial}/examples?limit=1`);
  const id = page.data?.rows[0]?.example;
  const trace = useApi<Trace>(trial === undefined || id === undefined ? null : `${studyApi(study)}/trials/${trial}/example?id=${encodeURIComponent(id)}`);
  const fields = trace.data?.fields;
  useEffect(() => {
    if (fields !== undefined) set(JSON.stringify(fields, null, 2));
  }, [fields, set]);
}

function ReplyView({ reply, name }: { reply: Reply; name: string }) {
  if ('fault' in reply) {
    return (
      <div class="panel">
        <h2>Plan {name}</h2>
        <div class="wrong" role="alert">
          <strong>It could not answer.</strong>
          <p>{reply.fault}</p>
        </div>
      </div>
    );
  }
  const { answer } = reply;
  return (
    <div class="panel">
      <h2>Plan {name}</h2>
      <p class="soft num">
        {answer.cost_text}, {answer.usage.prompt} + {answer.usage.decode} tokens, {duration(answer.seconds)}
      </p>
      <Value value={answer.output} />
      {answer.stages.map((stage) => (
        <details key={stage.stage}>
          <summary>
            {stage.stage} <span class="soft">{choiceWords(stage.choice)}</span>
          </summary>
          <p class="soft">
            Output {stage.support !== null && stage.samples.length > 1 && `(${Math.round(stage.support * 100)}% of ${stage.samples.length} samples agree)`}
          </p>
          <Value value={stage.output} />
          <ol class="samples">
            {stage.samples.map((sample, i) => (
              <li key={i}>
                <Value value={sample} label="Sample" />
                <p class="soft">Read as {stage.parsed[i] === null || stage.parsed[i] === undefined ? 'nothing' : valueText(stage.parsed[i])}</p>
              </li>
            ))}
          </ol>
        </details>
      ))}
    </div>
  );
}
