// A chart with its title, its words for who cannot see it, and its data as a table.

import type { EChartsCoreOption } from 'echarts/core';
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Scroll } from '../ui';
import type { Drawn } from './draw';
import { type Palette, palette } from './palette';

export interface ChartProps {
  title: string;
  /** What the chart shows, in a sentence, for screen readers. */
  label: string;
  note?: string;
  height?: number;
  option: (colours: Palette) => EChartsCoreOption;
  /** Grows when the option is another. */
  of: unknown;
  table: ComponentChildren;
  onPick?: (trial: number) => void;
}

export function Chart({ title, label, note, height = 320, option, of, table, onPick }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const drawn = useRef<Drawn | null>(null);
  const pick = useRef(onPick);
  pick.current = onPick;
  const make = useRef(option);
  make.current = option;
  const id = useId();
  const [asTable, setAsTable] = useState(false);
  const colours = useColours();
  const [ready, setReady] = useState(false);
  useEffect(() => {
    if (asTable) return;
    let gone = false;
    void import('./draw').then(({ draw }) => {
      if (gone || box.current === null) return;
      drawn.current = draw(box.current, (trial) => pick.current?.(trial));
      setReady(true);
    });
    return () => {
      gone = true;
      drawn.current?.end();
      drawn.current = null;
      setReady(false);
    };
  }, [asTable]);
  useEffect(() => {
    if (ready) drawn.current?.show(make.current(palette()));
  }, [of, colours, ready]);
  return (
    <figure class="chart panel" aria-labelledby={id}>
      <div class="chart-head">
        <h3 id={id}>{title}</h3>
        <button type="button" class="quiet" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? 'Chart' : 'Table'}
          <span class="unseen"> of {title}</span>
        </button>
      </div>
      {asTable ? (
        <Scroll class="scroll" label={`${title}, as a table`} height={height}>
          {table}
        </Scroll>
      ) : (
        <div ref={box} class="chart-box" role="img" aria-label={label} style={{ height: `${height}px` }} />
      )}
      {note !== undefined && <figcaption>{note}</figcaption>}
    </figure>
  );
}

/** Changes when the colours do. */
function useColours(): string {
  const [scheme, setScheme] = useState('');
  useEffect(() => {
    const media = matchMedia('(prefers-color-scheme: dark)');
    const see = () => setScheme(`${media.matches} ${document.documentElement.dataset['theme'] ?? ''}`);
    see();
    media.addEventListener('change', see);
    const watch = new MutationObserver(see);
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    return () => {
      media.removeEventListener('change', see);
      watch.disconnect();
    };
  }, []);
  return scheme;
}
