// A table of any length: only the rows in view are there, and they are fetched a page at a time.

import { useVirtualizer } from '@tanstack/react-virtual';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Fault, ask, faultFrom, isIncomplete } from './api';
import type { Page } from './types';
import { Nothing, Wrong } from './ui';

const PAGE = 100;

/** How long to wait for what the server is still reading. */
const SOON_MS = 700;

export interface Column<Row> {
  name: string;
  /** A track of a CSS grid. */
  width: string;
  /** The name by which the server sorts. */
  sort?: string;
  numeric?: boolean;
  cell: (row: Row) => ComponentChildren;
}

export interface Sorting {
  by: string;
  down: boolean;
}

export interface TableProps<Row> {
  label: string;
  columns: Column<Row>[];
  /** The address of a page, without offset and limit. */
  url: string;
  tick?: number;
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
  height: number;
  rowHeight?: number;
  least: number;
  nothing: string;
  onPage?: (page: Page<Row>) => void;
  isMarked?: (row: Row) => boolean;
}

export function Table<Row>(props: TableProps<Row>) {
  const { label, columns, url, tick = 0, sorting, onSort, height, rowHeight = 36, least, nothing, onPage, isMarked } = props;
  const box = useRef<HTMLDivElement>(null);
  const [rows, setRows] = useState<{ url: string; total: number | null; pages: Map<number, Row[]> }>({ url, total: null, pages: new Map() });
  const [fault, setFault] = useState<Fault>();
  const shown = rows.url === url ? rows : { url, total: rows.total, pages: new Map<number, Row[]>() };
  const virtual = useVirtualizer({
    count: shown.total ?? 0,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 8,
  });
  const items = virtual.getVirtualItems();
  const first = Math.floor((items[0]?.index ?? 0) / PAGE);
  const last = Math.floor((items.at(-1)?.index ?? 0) / PAGE);
  const told = useRef(onPage);
  told.current = onPage;
  const known = useRef(shown.pages);
  known.current = shown.pages;
  const [tries, setTries] = useState(0);
  const ticked = useRef('');
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const now = `${tick} ${tries}`;
    const isStale = ticked.current !== now;
    ticked.current = now;
    const load = async (page: number) => {
      const joint = url.includes('?') ? '&' : '?';
      const answer = await ask<Page<Row>>(`${url}${joint}offset=${page * PAGE}&limit=${PAGE}`, { signal: stop.signal });
      if (stop.signal.aborted) return;
      setFault(undefined);
      told.current?.(answer);
      if (isIncomplete(answer)) timer ??= setTimeout(() => setTries((n) => n + 1), SOON_MS);
      setRows((before) => {
        const pages = new Map(before.url === url ? before.pages : []);
        pages.set(page, answer.rows);
        return { url, total: answer.total, pages };
      });
    };
    for (let page = first; page <= last; page++) {
      if (!isStale && known.current.has(page)) continue;
      load(page).catch((error: unknown) => {
        if (!stop.signal.aborted) setFault(faultFrom(error));
      });
    }
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [url, tick, tries, first, last]);
  const tracks = columns.map((c) => c.width).join(' ');
  const grid = { gridTemplateColumns: tracks };
  if (fault !== undefined && shown.pages.size === 0) return <Wrong fault={fault} />;
  if (shown.total === 0) return <Nothing>{nothing}</Nothing>;
  const tall = Math.min(height, (shown.total ?? 8) * rowHeight + 40);
  return (
    // A region that scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div class="vscroll" ref={box} style={{ height: `${tall}px` }} tabIndex={0} role="region" aria-label={label}>
      <div role="table" aria-label={label} aria-rowcount={(shown.total ?? 0) + 1} class="vtable" style={{ minWidth: `${least}px` }}>
        <div role="rowgroup" class="vhead">
          <div role="row" class="vrow" style={grid} aria-rowindex={1}>
            {columns.map((column) => (
              <Head key={column.name} column={column} sorting={sorting} onSort={onSort} />
            ))}
          </div>
        </div>
        <div role="rowgroup" class="vbody" style={{ height: `${virtual.getTotalSize()}px` }}>
          {items.map((item) => {
            const row = shown.pages.get(Math.floor(item.index / PAGE))?.[item.index % PAGE];
            const marked = row !== undefined && isMarked?.(row) === true;
            return (
              <div
                role="row"
                key={item.key}
                class={`vrow${marked ? ' marked' : ''}`}
                aria-rowindex={item.index + 2}
                style={{ ...grid, height: `${rowHeight}px`, transform: `translateY(${item.start}px)` }}
              >
                {columns.map((column) => (
                  <div role="cell" key={column.name} class={column.numeric === true ? 'num' : ''}>
                    {row === undefined ? <i class="blank" /> : column.cell(row)}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function Head<Row>({ column, sorting, onSort }: { column: Column<Row>; sorting: Sorting; onSort: (s: Sorting) => void }) {
  const by = column.sort;
  const kind = column.numeric === true ? 'num' : '';
  if (by === undefined) {
    return (
      <div role="columnheader" class={kind}>
        {column.name}
      </div>
    );
  }
  const isThis = sorting.by === by;
  const order = !isThis ? 'none' : sorting.down ? 'descending' : 'ascending';
  return (
    <div role="columnheader" class={kind} aria-sort={order}>
      <button type="button" onClick={() => onSort({ by, down: isThis ? !sorting.down : by !== 'number' && by !== 'cost' && by !== 'example' })}>
        {column.name}
        <span aria-hidden="true">{!isThis ? '' : sorting.down ? ' ↓' : ' ↑'}</span>
      </button>
    </div>
  );
}
