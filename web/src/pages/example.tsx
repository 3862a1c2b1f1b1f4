// Why an example got its answer: every stage with its prompt, its samples, what was read of them, and the vote.

import { useState } from 'preact/hooks';
import { useSearch } from 'wouter-preact';
import { studyApi, useApi } from '../api';
import { choiceWords, cost, duration, score, valueText } from '../format';
import type { Message, Run, Sample, StageLook, Study, Trace } from '../types';
import { Crumbs, Loading, Value, Wrong, studyPath, useTitle } from '../ui';

export function ExamplePage({ study, trial }: { study: string; trial: number }) {
  const id = new URLSearchParams(useSearch()).get('id') ?? '';
  useTitle(`Example ${id}`);
  const head = useApi<Study>(studyApi(study));
  const trace = useApi<Trace>(`${studyApi(study)}/trials/${trial}/example?id=${encodeURIComponent(id)}`);
  const fault = trace.fault ?? head.fault;
  return (
    <>
      <Crumbs
        parts={[['Studies', '/'], [study, studyPath(study)], [`Trial ${trial}`, studyPath(study, `/trials/${trial}`)], [`Example ${id}`, null]]}
      />
      {fault !== undefined && <Wrong fault={fault} again={trace.again} />}
      {trace.data !== undefined && head.data !== undefined ? (
        <One trace={trace.data} study={head.data} />
      ) : (
        fault === undefined && <Loading what="the example" rows={10} />
      )}
    </>
  );
}

function One({ trace, study: { summary } }: { trace: Trace; study: Study }) {
  const steps = Object.entries(trace.steps);
  return (
    <>
      <div class="page-head">
        <div>
          <h1>
            Example {trace.example} <span class={`badge ${trace.objective >= 1 ? 'good' : trace.objective <= 0 ? 'bad' : ''}`}>score {score(trace.objective)}</span>
          </h1>
          <p class="soft">{cost(trace.cost, summary.cost_model)} for this query</p>
        </div>
      </div>
      {trace.failure !== null && (
        <div class="wrong" role="alert">
          <strong>It failed, and scores 0.</strong>
          <p>{trace.failure}</p>
        </div>
      )}
      <details class="panel" open>
        <summary>The example</summary>
        <dl class="fields">
          {Object.entries(trace.fields).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <Value value={value} />
              </dd>
            </div>
          ))}
        </dl>
      </details>
      {trace.stages.map((stage) => (
        <Stage key={stage.stage} stage={stage} />
      ))}
      {steps.length > 0 && (
        <details class="panel">
          <summary>Steps without a model ({steps.length})</summary>
          <dl class="fields">
            {steps.map(([name, step]) => (
              <div key={name}>
                <dt>
                  {name} <span class="soft">{duration(step.seconds)}</span>
                </dt>
                <dd>
                  <Value value={step.output} />
                </dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </>
  );
}

function Stage({ stage }: { stage: StageLook }) {
  return (
    <section class="panel stage" aria-labelledby={`stage-${stage.stage}`}>
      <div class="stage-head">
        <h2 id={`stage-${stage.stage}`}>{stage.stage}</h2>
        <span class="soft">{choiceWords(stage.choice)}</span>
        {stage.score !== null && <span class={`badge ${stage.score >= 1 ? 'good' : stage.score <= 0 ? 'bad' : ''}`}>metric {score(stage.score)}</span>}
      </div>
      {stage.skipped && <p class="soft">Its condition kept it from running.</p>}
      <h3>Output</h3>
      {stage.output === null ? <p class="soft">none</p> : <Value value={stage.output} />}
      {stage.runs.map((run, i) => (
        <RunView key={i} run={run} title={stage.runs.length > 1 ? `Item ${i + 1}` : null} />
      ))}
    </section>
  );
}

const SHOWN = 8;

function RunView({ run, title }: { run: Run; title: string | null }) {
  const [all, setAll] = useState(false);
  const samples = all ? run.samples : run.samples.slice(0, SHOWN);
  return (
    <>
      {title !== null && <h3>{title}</h3>}
      <Prompt prompt={run.prompt} name="Prompt" />
      {run.samples.length > 1 && <Votes run={run} />}
      <h3>{run.samples.length === 1 ? 'The sample' : `${run.samples.length} samples`}</h3>
      <ol class="samples">
        {samples.map((sample, i) => (
          <SampleView key={i} sample={sample} number={i + 1} />
        ))}
      </ol>
      {run.samples.length > samples.length && (
        <button type="button" onClick={() => setAll(true)}>
          Show all {run.samples.length} samples
        </button>
      )}
      {run.combined !== null && (
        <>
          <h3>Combined by a model</h3>
          <Prompt prompt={run.combined.prompt} name="What it was asked" />
          <ol class="samples">
            <SampleView sample={run.combined.reply} number={1} />
          </ol>
        </>
      )}
    </>
  );
}

function Prompt({ prompt, name }: { prompt: Message[] | null; name: string }) {
  if (prompt === null) return null;
  return (
    <details>
      <summary>
        {name} ({prompt.length === 1 ? 'one message' : `${prompt.length} messages`})
      </summary>
      {prompt.map((message, i) => (
        <div class="message" key={i}>
          <span class="soft">{message.role}</span>
          <Value value={message.content} />
        </div>
      ))}
    </details>
  );
}

function Votes({ run }: { run: Run }) {
  const unread = run.samples.filter((s) => s.answer === null).length;
  const most = Math.max(1, run.samples.length);
  return (
    <table class="votes">
      <caption>
        The vote{run.support !== null && `: ${Math.round(run.support * 100)}% agree with the output`}
        {unread > 0 && `; ${unread} of ${run.samples.length} could not be read and do not vote`}
      </caption>
      <tbody>
        {run.answers.map((answer, i) => (
          <tr key={i} class={answer.won ? 'marked' : ''}>
            <th scope="row">
              <span class={`dot k${i % 6}`} aria-hidden="true" />
              <span class="cut">{valueText(answer.answer)}</span>
              {answer.won && <span class="badge star">the output</span>}
            </th>
            <td class="bar">
              <i style={{ width: `${(answer.votes / most) * 100}%` }} />
            </td>
            <td class="num">{answer.votes}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function SampleView({ sample, number }: { sample: Sample; number: number }) {
  return (
    <li>
      <div class="sample-head">
        <span class={`dot ${sample.answer === null ? 'none' : `k${sample.answer % 6}`}`} aria-hidden="true" />
        <span class="num">#{number}</span>
        <span class="soft num">
          {sample.prompt_tokens} + {sample.decode_tokens} tokens, {duration(sample.seconds)}
          {sample.finish !== 'stop' && `, ended by ${sample.finish}`}
        </span>
      </div>
      <Value value={sample.text} label="Sample" />
      {sample.unread !== null ? (
        <p class="bad">Not read: {sample.unread}</p>
      ) : (
        <p class="soft">
          Read as <code>{valueText(sample.parsed)}</code>
        </p>
      )}
    </li>
  );
}
