// Every page, in light and dark, wide and narrow: a picture, and no serious finding of axe.

import { expect, look, test } from './dashboard';

const PAGES: [string, string, string][] = [
  ['studies', '/', 'Studies'],
  ['overview', '/studies/demo-tape-1', 'demo-tape-1'],
  ['trials', '/studies/demo-tape-1/trials', 'demo-tape-1'],
  ['stages', '/studies/demo-tape-1/stages', 'demo-tape-1'],
  ['interactions', '/studies/demo-tape-1/interactions', 'demo-tape-1'],
  ['guidelines', '/studies/evil/guidelines', 'evil'],
  ['trial', '/studies/demo-tape-1/trials/2', 'Trial 2'],
  ['example', '/studies/demo-tape-1/trials/2/example?id=search-006', 'Example search-006'],
  ['compare', '/studies/demo-tape-1/compare?a=1&b=2', 'Trial 1 against trial 2'],
  ['playground', '/playground', 'Playground'],
  ['serving', '/serving', 'Serving'],
  ['missing', '/studies/none', ''],
];

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1280, 400]) {
    test.describe(`${colorScheme}, ${width} pixels`, () => {
      test.use({ colorScheme, viewport: { width, height: 850 } });
      for (const [name, path, title] of PAGES) {
        test(name, async ({ page, dashboard }) => {
          await page.goto(dashboard.url + path);
          if (title !== '') await expect(page.getByRole('heading', { level: 1 })).toContainText(title);
          await look(page, `${name}-${colorScheme}-${width}`);
        });
      }
    });
  }
}
