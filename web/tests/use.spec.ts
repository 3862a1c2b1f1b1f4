// What a person does with the pages.

import { EVIL, expect, look, settled, test } from './dashboard';

test('from the list to the vote that made an answer', async ({ page, dashboard }) => {
  await page.goto(dashboard.url);
  await page.getByRole('link', { name: 'demo-tape-1' }).click();
  await expect(page.getByRole('heading', { name: 'Recommended plan' })).toBeVisible();
  await settled(page);
  // A point of the chart leads to its trial: the recommended plan's star is the last point of the front.
  const chart = page.getByRole('figure', { name: 'Cost against quality' });
  await chart.getByRole('button', { name: 'Table of Cost against quality' }).click();
  await chart.getByRole('row', { name: /recommended/ }).getByRole('link').first().click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Trial');
  await page.getByRole('table', { name: /Examples of trial/ }).getByRole('link').first().click();
  await expect(page.getByRole('heading', { name: 'pick' })).toBeVisible();
  await page.getByText(/^Prompt \(/).first().click();
  await expect(page.getByText('user', { exact: true }).first()).toBeVisible();
});

test('a click on a point of the front looks at its plan', async ({ page, dashboard }) => {
  await page.goto(`${dashboard.url}/studies/demo-tape-1`);
  await settled(page);
  const canvas = page.getByRole('figure', { name: 'Cost against quality' }).locator('canvas');
  const box = await canvas.boundingBox();
  if (box === null) throw new Error('there is no chart');
  // Points are found as a person finds them: the pointer changes where something can be clicked.
  for (let x = box.width - 20; x > box.width / 2; x -= 4) {
    for (let y = 50; y < box.height / 2; y += 4) {
      await page.mouse.move(box.x + x, box.y + y);
      if ((await canvas.evaluate((c) => c.parentElement?.style.cursor)) !== 'pointer') continue;
      if (!(await page.locator('.tip').filter({ hasText: 'per query' }).isVisible())) continue;
      await page.mouse.click(box.x + x, box.y + y);
      await expect(page).toHaveURL(/\/trials\/\d+$/);
      return;
    }
  }
  throw new Error('no point was found');
});

test('trials are sorted, found and compared by keyboard', async ({ page, dashboard }) => {
  await page.goto(`${dashboard.url}/studies/demo-tape-1/trials`);
  await settled(page);
  await page.getByRole('button', { name: 'number of answer' }).press('Enter');
  await expect(page.getByRole('columnheader', { name: 'number of answer' })).toHaveAttribute('aria-sort', 'descending');
  await expect(page.getByRole('row').nth(1)).toContainText('1.000');
  await page.getByRole('searchbox').fill('qwen-coder-0.5b x1');
  await expect(page.getByRole('status').filter({ hasText: /of 108 trials/ })).toBeVisible();
  for (const row of [0, 1]) await page.getByRole('checkbox').nth(row).press('Space');
  await page.getByRole('button', { name: /^Compare \d+ with \d+$/ }).press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toContainText('against trial');
});

test('what a model says is text', async ({ page, dashboard }) => {
  await page.goto(`${dashboard.url}/studies/evil/trials`);
  await settled(page);
  let found = false;
  const trials = await page.getByRole('table', { name: 'Trials' }).getByRole('link').allTextContents();
  for (const trial of trials) {
    await page.goto(`${dashboard.url}/studies/evil/trials/${trial}`);
    await settled(page);
    const ids = await page.getByRole('table', { name: /Examples/ }).getByRole('link').allTextContents();
    for (const id of ids.slice(0, 12)) {
      await page.goto(`${dashboard.url}/studies/evil/trials/${trial}/example?id=${id}`);
      await settled(page);
      if (await page.getByText(EVIL).count()) {
        found = true;
        break;
      }
    }
    if (found) break;
  }
  expect(found, 'some sample says it').toBe(true);
  await expect(page.locator('img[src="x"]')).toHaveCount(0);
  await look(page, 'evil');
});

test('two plans answer one input', async ({ page, dashboard }) => {
  await page.goto(`${dashboard.url}/playground?study=evil&a=1`);
  await expect(page.getByLabel(/^Input/)).toHaveValue(/"question"/);
  await page.getByRole('button', { name: 'Answer' }).click();
  await expect(page.getByRole('heading', { name: 'Plan B' })).toBeVisible();
  await look(page, 'playground-answered');
  await page.getByLabel(/^Input/).fill('not JSON');
  await page.getByRole('button', { name: 'Answer' }).click();
  await expect(page.getByRole('alert')).toContainText('The input is not JSON');
});

test('a search is watched, stopped and resumed', async ({ page, dashboard }) => {
  await page.goto(dashboard.url);
  dashboard.searchSlowly();
  // It comes into the list by itself.
  await page.getByRole('link', { name: 'slow' }).click();
  const head = page.getByRole('heading', { level: 1 });
  await expect(head).toContainText('running');
  const measured = page.locator('.tile', { hasText: 'Best so far' });
  await expect(measured).toContainText('n =', { timeout: 40_000 });
  // How far its present trial is.
  await expect(page.locator('.tile', { hasText: 'Under way' })).toContainText(/\d+ of \d+ examples/);
  await look(page, 'running');
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(head).toContainText('stopped');
  await page.getByRole('button', { name: 'Resume' }).click();
  await expect(head).toContainText('running');
  // The list can do that, too.
  await page.goto(dashboard.url);
  const row = page.getByRole('listitem').filter({ hasText: 'slow' });
  await row.getByRole('button', { name: 'Stop slow' }).click();
  await expect(row).toContainText('stopped');
  await expect(row.getByRole('button', { name: 'Resume slow' })).toBeVisible();
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });
  test('the essentials are there', async ({ page, dashboard }) => {
    await page.goto(dashboard.url);
    const row = page.getByRole('row', { name: /demo-tape-1/ });
    await expect(row).toContainText('done');
    await expect(row).toContainText('qwen-coder-0.5b');
    await row.getByRole('link').click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText('demo-tape');
  });
});
