// Chromium, and what the tests of pages share.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export { until } from './server.mjs';

/** Where a person can look at what a page looked like. */
const SCREENSHOTS = process.env.TIDEWIRE_SCREENSHOTS;

/** Starts a browser with a profile of its own. */
export function launch(...more) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...more,
    ],
  });
}

/** A tab at this address, in a context of its own unless one is given; of a test that fails, a picture is kept. */
export async function openPage(t, browser, url, context) {
  const mine = context ?? (await browser.newContext());
  const page = await mine.newPage();
  page.setDefaultTimeout(60_000);
  page.on('crash', () => console.error(`${t.name}: the page crashed`));
  page.on('pageerror', (error) => console.error(`${t.name}: ${error}`));
  t.after(async () => {
    if (t.passed === false) await keepPicture(page, `failed ${t.name}`);
    if (!context) await mine.close();
  });
  await page.goto(url);
  return page;
}

/** Keeps a picture of the page; a browser that cannot make one fails no test. */
export async function keepPicture(page, name) {
  if (!SCREENSHOTS || page.isClosed()) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  const path = join(SCREENSHOTS, `${name.replace(/[^\w.]+/g, '-').slice(0, 80)}.png`);
  await page.screenshot({ path, timeout: 10_000 }).catch((error) => console.error(`no picture ${path}: ${error.message.split('\n')[0]}`));
}
