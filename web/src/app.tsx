// The frame of all pages, and which page an address has.

import { useEffect, useRef, useState } from 'preact/hooks';
import { Link, Route, Router, Switch, useLocation } from 'wouter-preact';
import { ComparePage } from './pages/compare';
import { ExamplePage } from './pages/example';
import { Playground } from './pages/playground';
import { Serving } from './pages/serving';
import { Studies } from './pages/studies';
import { StudyPages } from './pages/study';
import { TrialPageView } from './pages/trial';

export function App() {
  return (
    <Router>
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <Top />
      <Main />
    </Router>
  );
}

function Main() {
  const main = useRef<HTMLElement>(null);
  const [here] = useLocation();
  const before = useRef(here);
  useEffect(() => {
    // A reader by keyboard or screen reader begins a new page at its top.
    if (before.current !== here) {
      main.current?.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    before.current = here;
  }, [here]);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      <Switch>
        <Route path="/">
          <Studies />
        </Route>
        <Route path="/playground">
          <Playground />
        </Route>
        <Route path="/serving">
          <Serving />
        </Route>
        <Route path="/studies/:study/compare">{({ study }) => <ComparePage study={study} />}</Route>
        <Route path="/studies/:study/trials/:trial/example">
          {({ study, trial }) => <ExamplePage study={study} trial={Number(trial)} />}
        </Route>
        <Route path="/studies/:study/trials/:trial">{({ study, trial }) => <TrialPageView study={study} trial={Number(trial)} />}</Route>
        <Route path="/studies/:study/:tab?">{({ study, tab }) => <StudyPages key={study} study={study} tab={tab ?? ''} />}</Route>
        <Route>
          <h1>There is no such page</h1>
          <p>
            <Link href="/">The list of studies</Link> leads to all of them.
          </p>
        </Route>
      </Switch>
    </main>
  );
}

const THEMES = ['auto', 'light', 'dark'] as const;
const THEME = 'agenttts-theme';

function Top() {
  const [here] = useLocation();
  const [theme, setTheme] = useState<string>(() => localStorage.getItem(THEME) ?? 'auto');
  useEffect(() => {
    localStorage.setItem(THEME, theme);
    if (theme === 'auto') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }, [theme]);
  const links: [string, string, boolean][] = [
    ['Studies', '/', here === '/' || here.startsWith('/studies')],
    ['Playground', '/playground', here === '/playground'],
    ['Serving', '/serving', here === '/serving'],
  ];
  const next = THEMES[(THEMES.indexOf(theme as (typeof THEMES)[number]) + 1) % THEMES.length] ?? 'auto';
  return (
    <header class="top">
      <div class="topbar">
        <Link href="/" class="brand">
          <img src="/assets/icon.svg" alt="" width="20" height="20" />
          agenttts
        </Link>
        <nav aria-label="Pages">
          {links.map(([name, to, isHere]) => (
            <Link key={to} href={to} aria-current={isHere ? 'page' : undefined}>
              {name}
            </Link>
          ))}
        </nav>
        <button type="button" class="quiet" onClick={() => setTheme(next)} aria-label={`Colours: ${theme}. Change to ${next}`}>
          {theme === 'auto' ? '◐ Auto' : theme === 'light' ? '☀ Light' : '☾ Dark'}
        </button>
      </div>
    </header>
  );
}
