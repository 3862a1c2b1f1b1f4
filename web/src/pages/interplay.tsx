// How a choice in one stage moves what is best in a later one.

import { studyApi, useApi } from '../api';
import { choiceWords, interval, signed } from '../format';
import type { Credible, Insights, Interplay as Pair, Study } from '../types';
import { Loading, Nothing, Scroll, Wrong } from '../ui';
import { Words } from './stages';

export function Interplay({ study, tick }: { study: Study; tick: number }) {
  const { data, fault, again } = useApi<Insights>(`${studyApi(study.glance.name)}/insights`, tick);
  if (data === undefined) return fault === undefined ? <Loading what="interactions" rows={10} /> : <Wrong fault={fault} again={again} />;
  if (!data.complete && data.explanation === null) return <Loading what="what the trials tell" rows={10} />;
  if (data.missing !== null) return <Nothing>{data.missing}</Nothing>;
  const pairs = data.explanation?.interplay ?? [];
  if (pairs.length === 0) {
    return (
      <>
        <Words explanation={data.explanation} />
        <Nothing>{study.summary.stages.length < 2 ? 'A pipeline of one stage has no interactions.' : 'Too few trials tell of interactions yet.'}</Nothing>
      </>
    );
  }
  return (
    <>
      <Map pairs={pairs} stages={study.summary.stages.map((s) => s.name)} />
      {pairs.map((pair) => (
        <PairView key={`${pair.upstream} ${pair.downstream}`} pair={pair} />
      ))}
    </>
  );
}

/** Every pair of stages: how much of the difference between plans they explain together only. */
function Map({ pairs, stages }: { pairs: Pair[]; stages: string[] }) {
  const most = Math.max(0.01, ...pairs.map((p) => p.share.mean));
  const rows = stages.slice(0, -1);
  const columns = stages.slice(1);
  return (
    <section class="panel" aria-labelledby="map">
      <h2 id="map">Interaction map</h2>
      <p class="soft">The share of what distinguishes plans that choices of two stages explain together, beyond what each explains alone. Darker is more; a ring marks what the trials show for sure.</p>
      <Scroll class="scroll-x" label="Interaction map">
        <table class="heat">
          <thead>
            <tr>
              <td />
              {columns.map((name) => (
                <th scope="col" key={name}>{name}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((up) => (
              <tr key={up}>
                <th scope="row">{up}</th>
                {columns.map((down) => {
                  const pair = pairs.find((p) => p.upstream === up && p.downstream === down);
                  if (pair === undefined) return <td key={down} />;
                  return (
                    <td key={down} class={pair.measurable ? 'ring' : ''} title={`95%: ${percent(pair.share.low)} – ${percent(pair.share.high)}`}>
                      <Shade share={pair.share.mean / most} kind="plus" />
                      <span>{percent(pair.share.mean)}</span>
                      {pair.measurable && <span class="unseen"> measurable</span>}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

function Shade({ share, kind }: { share: number; kind: 'plus' | 'minus' }) {
  return <i class={`shade ${kind}`} aria-hidden="true" style={{ opacity: Math.min(1, Math.max(0, share)) * 0.55 }} />;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)}%`;
}

function PairView({ pair }: { pair: Pair }) {
  const most = Math.max(0.001, ...pair.departures.flat().map((d) => Math.abs(d.mean)));
  return (
    <section class="panel" aria-label={`${pair.upstream} and ${pair.downstream}`}>
      <h2>
        {pair.upstream} → {pair.downstream}
      </h2>
      <p class="soft">{pair.measurable ? 'They move each other measurably.' : 'Nothing between them can be told from noise.'}</p>
      <div class="pair">
        {pair.departures.length > 0 && (
          <Scroll class="scroll-x" label="How far scores are from the sum">
            <table class="heat">
              <caption class="soft">How far the score is from the sum of what both models do</caption>
              <thead>
                <tr>
                  <td>{pair.upstream} ↓ · {pair.downstream} →</td>
                  {pair.models[1].map((name) => (
                    <th scope="col" key={name}>{name}</th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {pair.departures.map((row, i) => (
                  <tr key={i}>
                    <th scope="row">{pair.models[0][i]}</th>
                    {row.map((cell, j) => (
                      <Departure key={j} cell={cell} most={most} />
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        )}
        {pair.rows.length > 0 && (
          <Scroll class="scroll-x" label="What is best">
            <table>
              <caption class="soft">What is best in {pair.downstream} for each model of {pair.upstream}</caption>
              <thead>
                <tr>
                  <th scope="col">{pair.upstream}</th>
                  <th scope="col">Best in {pair.downstream}</th>
                  <th scope="col" class="num">Peak</th>
                  <th scope="col" class="num">Gain</th>
                </tr>
              </thead>
              <tbody>
                {pair.rows.map((row) => (
                  <tr key={row.model}>
                    <th scope="row">{row.model} <span class="soft">×{row.samples}</span></th>
                    <td>{choiceWords(row.best)}</td>
                    <td class="num">{row.peak === null ? '–' : `${row.peak.samples} (${row.peak.low}–${row.peak.high})`}</td>
                    <td class="num">{row.gain === null ? '–' : signed(row.gain.mean)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        )}
      </div>
    </section>
  );
}

function Departure({ cell, most }: { cell: Credible; most: number }) {
  const isSure = cell.low > 0 || cell.high < 0;
  return (
    <td class={isSure ? 'ring' : ''} title={`95%: ${interval(cell)}`}>
      <Shade share={Math.abs(cell.mean) / most} kind={cell.mean >= 0 ? 'plus' : 'minus'} />
      <span>{signed(cell.mean)}</span>
    </td>
  );
}
