import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { defineConfig } from '@playwright/test';

/** The first Chromium of the system. */
function chromium(): string {
  const places = (process.env['PATH'] ?? '').split(delimiter);
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const found = names.flatMap((name) => places.map((place) => join(place, name))).find((path) => existsSync(path));
  if (found === undefined) throw new Error('there is no Chromium: install one, or name it in AGENTTTS_CHROMIUM');
  return found;
}

// Browsers are not downloaded: the system's Chromium is used, AGENTTTS_CHROMIUM names another.
export default defineConfig({
  testDir: 'tests',
  outputDir: join(process.env['AGENTTTS_SHOTS'] ?? join(tmpdir(), 'agenttts-web'), 'failures'),
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: 'line',
  use: {
    launchOptions: {
      executablePath: process.env['AGENTTTS_CHROMIUM'] ?? chromium(),
      args: ['--no-sandbox'],
    },
  },
});
