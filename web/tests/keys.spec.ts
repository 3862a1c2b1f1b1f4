// The pages behind keys: a browser signs in once, and does what its key allows.

import type { Page } from '@playwright/test';
import { expect, look, settled, test } from './dashboard';

async function signIn(page: Page, url: string, key: string): Promise<void> {
  await page.goto(url);
  await expect(page).toHaveURL(/\/login$/);
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

test('without a key there is nothing but the way in', async ({ page, guarded }) => {
  await page.goto(`${guarded.url}/studies/quick`);
  await expect(page).toHaveURL(/\/login$/);
  await look(page, 'login');
  await page.getByLabel('API key').fill('atts-wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toContainText('not known here');
  for (const path of ['/api/studies', '/api/serving', '/openapi.json', '/assets/app.js', '/v1/models', '/metrics']) {
    expect((await page.request.get(guarded.url + path)).status(), path).toBe(401);
  }
});

test('a key that may look sees everything and changes nothing', async ({ page, context, guarded }) => {
  await signIn(page, guarded.url, guarded.viewer);
  await page.getByRole('link', { name: 'quick' }).click();
  await expect(page.getByRole('heading', { name: 'Recommended plan' })).toBeVisible();
  await settled(page);
  const cookie = (await context.cookies()).find((c) => c.name === 'agenttts_key');
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });

  await page.goto(`${guarded.url}/studies/slow`);
  const head = page.getByRole('heading', { level: 1 });
  await expect(head).toContainText('running');
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByRole('alert')).toContainText('does not allow to administrate');
  await expect(head).toContainText('running');
  await look(page, 'viewer-refused');

  await page.goto(`${guarded.url}/playground?study=quick&a=1`);
  await page.getByRole('button', { name: 'Answer' }).click();
  await expect(page.getByRole('alert')).toContainText('does not allow to use');
  // The cookie alone is not enough for a change either: the header of our own page is missing.
  const sent = await page.request.post(`${guarded.url}/api/studies/slow/stop`, { data: {} });
  expect(sent.status()).toBe(403);
});

test('what a served plan does is shown beside what was measured', async ({ page, guarded }) => {
  const headers = { authorization: `Bearer ${guarded.operator}` };
  const serving = await page.request.get(`${guarded.url}/api/serving`, { headers });
  const [plan] = ((await serving.json()) as { plans: { name: string; input: string[] }[] }).plans;
  const input = Object.fromEntries((plan?.input ?? []).map((field) => [field, 'Hats Ltd']));
  for (let i = 0; i < 3; i++) {
    const reply = await page.request.post(`${guarded.url}/v1/run`, { headers, data: { model: plan?.name, input, draw: i } });
    expect([200, 422], await reply.text()).toContain(reply.status());
  }
  await signIn(page, guarded.url, guarded.operator);
  await page.goto(`${guarded.url}/serving`);
  const shown = page.getByRole('region', { name: 'quick', exact: true });
  await expect(shown.getByText('too little to judge').first()).toBeVisible();
  await expect(shown).toContainText('Requests3');
  const front = page.getByText('Plans of its front');
  if ((await front.count()) > 0) await front.click();
  await look(page, 'serving-traffic');
});

test('a key that may administrate stops a study', async ({ page, guarded }) => {
  await signIn(page, guarded.url, guarded.operator);
  await page.goto(`${guarded.url}/studies/slow`);
  const head = page.getByRole('heading', { level: 1 });
  await expect(head).toContainText('running');
  // A page of elsewhere, with the browser's cookie and even the header.
  const forged = await page.request.post(`${guarded.url}/api/studies/slow/stop`, {
    data: {},
    headers: { 'x-agenttts': '1', 'sec-fetch-site': 'cross-site' },
  });
  expect(forged.status()).toBe(403);
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(head).toContainText('stopped');
});
