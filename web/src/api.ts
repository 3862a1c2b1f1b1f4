// Asking the server. Where it wants a key, the browser has it in a cookie that no script can read.

import { useCallback, useEffect, useState } from 'preact/hooks';

export interface Fault {
  status: number;
  message: string;
  hint: string | null;
}

/** The path of a study in the API. */
export function studyApi(study: string): string {
  return `/api/studies/${encodeURIComponent(study)}`;
}

export async function ask<T>(url: string, init: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    const fault: Fault = {
      status: 0,
      message: 'The server does not answer.',
      hint: 'Start it again with `agenttts ui`; this page goes on by itself.',
    };
    throw new Failed(fault);
  }
  if (!response.ok) throw new Failed(await faultOf(response));
  return (await response.json()) as T;
}

/** Asks for a change. The header tells the server that our own page asks. */
export function change<T>(url: string, body: unknown): Promise<T> {
  return ask<T>(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-agenttts': '1' },
    body: JSON.stringify(body),
  });
}

export class Failed extends Error {
  constructor(readonly fault: Fault) {
    super(fault.message);
  }
}

async function faultOf(response: Response): Promise<Fault> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { error?: { message?: string; hint?: string | null } };
    const message = body.error?.message;
    if (message !== undefined) return { status: response.status, message, hint: body.error?.hint ?? null };
  } catch {
    // Not our own answer: a proxy's, perhaps.
  }
  const message = text.slice(0, 300) || `The server answered ${response.status}.`;
  return { status: response.status, message, hint: null };
}

export function faultFrom(error: unknown): Fault {
  if (error instanceof Failed) return error.fault;
  return { status: 0, message: error instanceof Error ? error.message : 'Something went wrong.', hint: 'Load the page again.' };
}

/** Whether the server says that there is more to come. */
export function isIncomplete(data: unknown): boolean {
  return typeof data === 'object' && data !== null && 'complete' in data && data.complete === false;
}

export interface Asked<T> {
  data: T | undefined;
  fault: Fault | undefined;
  again: () => void;
}

/** How long to wait for what the server is still working out. */
const SOON_MS = 700;

/** What an address answers; asked again when `tick` changes or the answer is not complete, with the old one shown meanwhile. */
export function useApi<T>(url: string | null, tick = 0): Asked<T> {
  const [state, setState] = useState<{ url: string | null; data?: T; fault?: Fault }>({ url: null });
  const [tries, setTries] = useState(0);
  const again = useCallback(() => setTries((n) => n + 1), []);
  useEffect(() => {
    if (url === null) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    ask<T>(url, { signal: stop.signal })
      .then((data) => {
        setState({ url, data });
        if (isIncomplete(data)) timer = setTimeout(again, SOON_MS);
      })
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        setState((before) => {
          const fault = faultFrom(error);
          return before.url === url && before.data !== undefined ? { url, data: before.data, fault } : { url, fault };
        });
      });
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [url, tick, tries, again]);
  const fresh = state.url === url;
  return { data: fresh ? state.data : undefined, fault: fresh ? state.fault : undefined, again };
}
