// What the tests share: a store with studies, and a dashboard of it.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { type Page, test as base, expect } from '@playwright/test';

const PROGRAM = process.env['AGENTTTS_PROGRAM'] ?? join(import.meta.dirname, '../../target/debug/agenttts');
const SHOTS = process.env['AGENTTTS_SHOTS'] ?? join(tmpdir(), 'agenttts-web');

/** What a model might say to break a page. */
export const EVIL = '<img src=x onerror=document.title=1>';

/** A server that wants keys, and what each may do. */
export interface Guarded {
  url: string;
  viewer: string;
  operator: string;
}

export interface Dashboard {
  url: string;
  /** Begins a search that takes a while. */
  searchSlowly: () => ChildProcess;
}

/** A program that ends with its test. */
function start(folder: string, args: string[]): ChildProcess {
  return spawn(PROGRAM, args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
}

/** The starter pipeline with a change, in a folder of its own. */
function pipeline(folder: string, name: string, change: (file: string, text: string) => string): void {
  execFileSync(PROGRAM, ['init', name], { cwd: folder, stdio: 'ignore' });
  for (const file of ['pipeline.toml', 'prompts/pick.j2']) {
    const path = join(folder, name, file);
    writeFileSync(path, change(file, readFileSync(path, 'utf8')));
  }
}

/** The address that a server says. */
function address(said: NodeJS.ReadableStream | null | undefined, server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    said?.on('data', (data: Buffer) => {
      text += data.toString();
      const found = /http:\/\/[0-9.:]+/.exec(text);
      if (found !== null) resolve(found[0]);
    });
    server.once('exit', (code) => reject(new Error(`the server ended with ${String(code)}: ${text}`)));
  });
}

export const test = base.extend<{ quiet: undefined }, { dashboard: Dashboard; guarded: Guarded }>({
  guarded: [
    async ({}, use) => {
      const folder = mkdtempSync(join(tmpdir(), 'agenttts-web-'));
      const run = (args: string[]) => execFileSync(PROGRAM, args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] }).toString();
      pipeline(folder, 'quick', (_, text) => text);
      run(['search', 'quick', '--name', 'quick', '--trials', '4', '--method', 'random', '--store', 'store.db']);
      const key = (name: string, scopes: string) => run(['keys', 'new', name, '--scopes', scopes]).trim();
      const viewer = key('viewer', 'view');
      const operator = key('operator', 'use,view,administrate');
      pipeline(folder, 'slow', (_, text) => text.replace(/id = "p(\d)/g, 'id = "slow-600ms-p$1'));
      const search = start(folder, ['search', 'slow', '--name', 'slow', '--store', 'store.db', '--method', 'random']);
      const args = ['serve', 'quick.plan.toml', '--keys', 'agenttts-keys.toml', '--listen', '127.0.0.1:0', '--store', 'store.db'];
      const server = spawn(PROGRAM, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
      await use({ url: await address(server.stderr, server), viewer, operator });
      for (const child of [search, server]) child.kill('SIGKILL');
    },
    { scope: 'worker' },
  ],
  dashboard: [
    async ({}, use) => {
      const folder = mkdtempSync(join(tmpdir(), 'agenttts-web-'));
      const run = (args: string[]) => execFileSync(PROGRAM, [...args, '--store', 'store.db'], { cwd: folder, stdio: 'ignore' });
      // The demo, as everybody has it; and one whose model says what it should not.
      run(['demo', '--tape', '-o', 'report.html']);
      pipeline(folder, 'evil', (file, text) => (file.endsWith('.j2') ? text.replace('\nwrong: ', `\nwrong: ${EVIL} | `) : text));
      run(['search', 'evil', '--method', 'rules', '--name', 'evil', '--trials', '8']);
      pipeline(folder, 'slow', (_, text) => text.replace(/id = "p(\d)/g, 'id = "slow-600ms-p$1'));
      const server = start(folder, ['ui', '--store', 'store.db', '--listen', '127.0.0.1:0']);
      const url = await address(server.stdout, server);
      const children: ChildProcess[] = [server];
      const searchSlowly = () => {
        const child = start(folder, ['search', 'slow', '--name', 'slow', '--store', 'store.db', '--method', 'random']);
        children.push(child);
        return child;
      };
      await use({ url, searchSlowly });
      for (const child of children) child.kill('SIGKILL');
    },
    { scope: 'worker' },
  ],
  // A page that breaks its own policy, or throws, fails its test.
  quiet: [
    async ({ page }, use) => {
      const said: string[] = [];
      page.on('pageerror', (error) => said.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error') said.push(message.text());
      });
      await use(undefined);
      expect(said.filter((line) => !line.includes('Failed to load resource'))).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** Waits until nothing is loading, and until charts are drawn. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator('.loading')).toHaveCount(0);
  for (const box of await page.locator('.chart-box').all()) await expect(box.locator('canvas')).toHaveCount(1);
}

/** Keeps a picture of a page, and holds it to the rules of accessibility. */
export async function look(page: Page, name: string): Promise<void> {
  await settled(page);
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
  expect(serious.map((v) => ({ rule: v.id, where: v.nodes.map((n) => n.target.join(' ')).slice(0, 5) }))).toEqual([]);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(overflow, 'the page scrolls sideways').toBeLessThanOrEqual(0);
}
