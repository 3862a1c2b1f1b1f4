// Small parts that pages are made of.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Link, useLocation } from 'wouter-preact';
import type { Fault } from './api';
import { choiceWords, interval, planWords, score, valueText } from './format';
import type { Estimate, Glance, Json, Plan } from './types';

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · agenttts`;
  }, [title]);
}

/** What is wrong, and what to do. */
export function Wrong({ fault, again }: { fault: Fault; again?: () => void }) {
  return (
    <div class="wrong" role="alert">
      <strong>{fault.message}</strong>
      {fault.hint !== null && <p>{fault.hint}</p>}
      {(fault.status === 401 || fault.status === 403) && (
        <p>
          <a href="/login">Sign in with a key that allows it</a>
        </p>
      )}
      {again !== undefined && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Loading({ what, rows = 4 }: { what: string; rows?: number }) {
  return (
    <div class="loading" role="status">
      <span class="unseen">Loading {what}</span>
      {Array.from({ length: rows }, (_, i) => (
        <i key={i} />
      ))}
    </div>
  );
}

export function Nothing({ children }: { children: ComponentChildren }) {
  return <p class="nothing">{children}</p>;
}

const STATES: Record<string, string> = {
  running: 'running',
  killed: 'killed',
  done: 'done',
  interrupted: 'stopped',
  limit: 'at its limit',
  failed: 'failed',
};

export function StateBadge({ study }: { study: Glance }) {
  const state = study.state === 'running' && !study.is_run ? 'killed' : study.state;
  return <span class={`badge state-${state}`}>{STATES[state]}</span>;
}

/** A plan, a chip for each stage. */
export function PlanChips({ plan, stages }: { plan: Plan; stages?: string[] }) {
  return (
    <span class="chips" title={planWords(plan)}>
      {plan.map((choice, i) => (
        <span class="chip" key={i} title={stages?.[i] === undefined ? choiceWords(choice) : `${stages[i]}: ${choiceWords(choice)}`}>
          <b>{choice.model}</b> ×{choice.samples}
          {choice.samples > 1 && choice.aggregator !== 'vote' && ` ${choice.aggregator}`}
        </span>
      ))}
    </span>
  );
}

/** A mean with its interval, as numbers and as a mark on the line from 0 to 1. */
export function Score({ value, bar = true }: { value: Estimate; bar?: boolean }) {
  const low = value.low ?? value.mean;
  const high = value.high ?? value.mean;
  return (
    <span class="score" title={`95% interval ${interval(value)}, n = ${value.n}`}>
      <span class="num">{score(value.mean)}</span>
      {bar && (
        <span class="iv" aria-hidden="true">
          <i style={{ left: `${low * 100}%`, width: `${Math.max(0, high - low) * 100}%` }} />
          <b style={{ left: `${value.mean * 100}%` }} />
        </span>
      )}
      <span class="unseen"> 95% interval {interval(value)}</span>
    </span>
  );
}

export function Meter({ label, share, words }: { label: string; share: number; words: string }) {
  const percent = Math.min(100, Math.max(0, share * 100));
  return (
    <div class="meter">
      <span>{label}</span>
      <span class="track" role="meter" aria-label={label} aria-valuenow={Math.round(percent)} aria-valuemin={0} aria-valuemax={100} aria-valuetext={words}>
        <i class={percent > 95 ? 'full' : ''} style={{ width: `${percent}%` }} />
      </span>
      <span class="soft num">{words}</span>
    </div>
  );
}

export function Tile({ name, value, more }: { name: string; value: ComponentChildren; more?: ComponentChildren }) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd class="value">{value}</dd>
      {more !== undefined && <dd class="more">{more}</dd>}
    </div>
  );
}

/** The way to a page, and the pages above it. */
export function Crumbs({ parts }: { parts: [string, string | null][] }) {
  return (
    <nav class="crumbs" aria-label="Where you are">
      <ol>
        {parts.map(([name, to], i) => (
          <li key={i}>{to === null ? <span aria-current="page">{name}</span> : <Link href={to}>{name}</Link>}</li>
        ))}
      </ol>
    </nav>
  );
}

/** Links between the pages of one thing. */
export function Tabs({ label, tabs }: { label: string; tabs: [string, string][] }) {
  const [here] = useLocation();
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(([name, to]) => (
        <Link key={to} href={to} aria-current={here === to ? 'page' : undefined}>
          {name}
        </Link>
      ))}
    </nav>
  );
}

/** A value of data or of a model: as it is, never as HTML. */
export function Value({ value, label = 'Text' }: { value: Json; label?: string }) {
  return (
    <Scroll class="value-text" label={label}>
      {valueText(value)}
    </Scroll>
  );
}

/** Something that scrolls where it does not fit; reachable by keyboard then, and only then. */
export function Scroll({ class: kind, label, children, height }: { class: string; label: string; children: ComponentChildren; height?: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [scrolls, setScrolls] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const see = () => setScrolls(element.scrollHeight > element.clientHeight + 1 || element.scrollWidth > element.clientWidth + 1);
    const watch = new ResizeObserver(see);
    watch.observe(element);
    for (const child of element.children) watch.observe(child);
    see();
    return () => watch.disconnect();
  }, [children]);
  const reach = scrolls ? { role: 'region' as const, 'aria-label': label, tabIndex: 0 } : {};
  const style = height === undefined ? {} : { maxHeight: `${height}px` };
  return (
    <div ref={box} class={kind} style={style} {...reach}>
      {children}
    </div>
  );
}

/** A command to copy. */
export function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    void navigator.clipboard.writeText(text).then(() => setCopied(true));
  };
  return (
    <span class="command">
      <code>{text}</code>
      <button type="button" class="quiet" onClick={copy} aria-label={`Copy ${text}`}>
        {copied ? 'Copied' : 'Copy'}
      </button>
    </span>
  );
}

/** How a plan of a study, of a trial or the recommended one, comes to answer requests. */
export function Serve({ study, trial }: { study: string; trial: number | null }) {
  const [of, file] = trial === null ? ['', study] : [` --trial ${trial}`, `${study}-${trial}`];
  return (
    <p class="soft">
      To serve it: <Command text={`agenttts plan ${study}${of} -o ${file}.plan.toml && agenttts serve ${file}.plan.toml`} />
    </p>
  );
}

export function studyPath(study: string, rest = ''): string {
  return `/studies/${encodeURIComponent(study)}${rest}`;
}
