// Server-sent events, read with fetch: EventSource does not say why it cannot connect, and stops for good at errors.

import { useEffect, useState } from 'preact/hooks';
import type { Standing } from './types';

export interface Sent {
  id: string | null;
  event: string;
  data: string;
}

/** Reads events out of pieces of a stream. Comments and unknown fields are passed over. */
export class Reader {
  private rest = '';

  feed(piece: string): Sent[] {
    const blocks = (this.rest + piece).replaceAll('\r\n', '\n').split('\n\n');
    this.rest = blocks.pop() ?? '';
    return blocks.map(read).filter((sent) => sent !== null);
  }
}

function read(block: string): Sent | null {
  let id: string | null = null;
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, '');
    const field = line.slice(0, colon);
    if (field === 'id') id = value;
    else if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
  return data.length === 0 ? null : { id, event, data: data.join('\n') };
}

/** Follows a stream until it is told to stop; connects again where it breaks off, from the last event on. */
async function follow(url: string, on: (sent: Sent) => void, stop: AbortSignal, connected: (is: boolean) => void): Promise<void> {
  let last: string | null = null;
  let wait = 500;
  const over = () => stop.aborted;
  while (!over()) {
    try {
      const since: Record<string, string> = last === null ? {} : { 'last-event-id': last };
      const response = await fetch(url, { headers: since, signal: stop });
      if (!response.ok || response.body === null) throw new Error(String(response.status));
      connected(true);
      wait = 500;
      const reader = new Reader();
      const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await pieces.read();
        if (done) break;
        for (const sent of reader.feed(value)) {
          last = sent.id ?? last;
          on(sent);
        }
      }
    } catch {
      // Whatever it was: wait and try again.
    }
    if (over()) return;
    connected(false);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, 10_000);
  }
}

export interface Live {
  /** Grows when something happened, at most once a second. */
  tick: number;
  isConnected: boolean;
  /** How the one study that is followed stands, once it is told. */
  standing: Standing | null;
  /** The last few events, the newest first. */
  recent: { ms: number; event: StudyEvent }[];
}

export interface StudyEvent {
  event: string;
  [key: string]: unknown;
}

const RECENT = 12;

/** Follows the events of a study, or with `null` how all studies stand. */
export function useLive(study: string | null): Live {
  const [live, setLive] = useState<Live>({ tick: 0, isConnected: false, standing: null, recent: [] });
  useEffect(() => {
    const stop = new AbortController();
    const url = study === null ? '/api/events' : `/api/studies/${encodeURIComponent(study)}/events`;
    const seen: { ms: number; event: StudyEvent }[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    let known: string | null = null;
    const later = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        const fresh = seen.splice(0);
        setLive((l) => ({ ...l, tick: l.tick + 1, recent: [...fresh.reverse(), ...l.recent].slice(0, RECENT) }));
      }, 1000);
    };
    const on = (sent: Sent) => {
      if (sent.event === 'standing') {
        if (study === null) {
          // The first tells what the page has loaded itself.
          if (known !== null) later();
          known = '';
          return;
        }
        // How far a trial is changes nothing else of the page.
        const standing = JSON.parse(sent.data) as Standing;
        const state = `${standing.state} ${standing.is_run}`;
        if (known !== null && known !== state) later();
        known = state;
        setLive((l) => ({ ...l, standing }));
        return;
      }
      const { ms, event } = JSON.parse(sent.data) as { ms: number; event: StudyEvent };
      seen.push({ ms, event });
      later();
    };
    void follow(url, on, stop.signal, (isConnected) => setLive((l) => ({ ...l, isConnected })));
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [study]);
  return live;
}
