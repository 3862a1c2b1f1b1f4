// How long pages of a very large store take: AGENTTTS_LARGE names the store that `large_store` wrote. Prints, asserts nothing.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type Page, expect, test } from '@playwright/test';

const LARGE = process.env['AGENTTTS_LARGE'];
const PROGRAM = process.env['AGENTTTS_PROGRAM'] ?? join(import.meta.dirname, '../../target/debug/agenttts');
const STUDY = '/studies/large-1';

/** Milliseconds from asking for a page until something of it is shown, and until nothing is loading any more. */
async function times(page: Page, url: string, useful: string): Promise<string> {
  const start = performance.now();
  await page.goto(url, { waitUntil: 'commit' });
  await page.locator(useful).first().waitFor();
  const first = performance.now() - start;
  await expect(page.locator('.loading, .blank')).toHaveCount(0, { timeout: 120_000 });
  await expect(page.getByText(/being added up|reading…|read so far|until what is believed/)).toHaveCount(0, { timeout: 120_000 });
  const whole = performance.now() - start;
  return `useful after ${first.toFixed(0)} ms, whole after ${whole.toFixed(0)} ms`;
}

test('load times of a large store', async ({ browser }) => {
  test.skip(LARGE === undefined, 'AGENTTTS_LARGE names no store');
  test.setTimeout(600_000);
  const pages: [string, string, string][] = [
    ['study, nothing read yet', STUDY, '.tile .value'],
    ['study, again', STUDY, '.tile .value'],
    ['trials, newest first', `${STUDY}/trials`, '.vbody a'],
    ['a trial', `${STUDY}/trials/77777`, '.vbody a'],
    ['an example', `${STUDY}/trials/77777/example?id=e77`, '.samples'],
    ['rounds', `${STUDY}/guidelines`, '.timeline'],
    ['comparison', `${STUDY}/compare?a=100&b=101`, '.tile .value'],
    ['studies', '/', '.studies a'],
  ];
  const server = spawn(PROGRAM, ['ui', '--store', LARGE ?? '', '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const url = await new Promise<string>((resolve) => server.stdout.once('data', (data: Buffer) => resolve(data.toString().trim())));
    for (const [name, path, useful] of pages) {
      const page = await browser.newPage();
      console.log(`${name}: ${await times(page, url + path, useful)}`);
      await page.close();
    }
    const page = await browser.newPage();
    await page.goto(`${url}${STUDY}/trials`);
    await page.locator('.vbody a').first().waitFor();
    const start = performance.now();
    await page.getByRole('button', { name: 'exact-match of answer' }).click();
    await page.waitForResponse((response) => response.url().includes('sort=objective'));
    await expect(page.locator('.blank')).toHaveCount(0);
    console.log(`trials sorted by score: ${(performance.now() - start).toFixed(0)} ms`);
    const scrolled = performance.now();
    await page.locator('.vscroll').evaluate((element) => element.scrollTo(0, element.scrollHeight / 2));
    await page.waitForResponse((response) => /offset=[1-9]/.test(response.url()));
    await expect(page.locator('.blank')).toHaveCount(0);
    console.log(`scrolled to trial 50,000 of them: ${(performance.now() - scrolled).toFixed(0)} ms`);
  } finally {
    server.kill();
  }
});
