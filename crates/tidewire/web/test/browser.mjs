// Chromium, and helpers of the tests of pages.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

/** The folder for pictures of pages. */
const SCREENSHOTS = process.env.TIDEWIRE_SCREENSHOTS;

/** Starts a browser with a new profile. */
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

/** Opens a tab, in a new context unless one is given. If the test fails, a picture is kept. */
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

/** Keeps a picture of the page. A failure to do so does not fail the test. */
export async function keepPicture(page, name) {
  if (!SCREENSHOTS || page.isClosed()) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  const path = join(SCREENSHOTS, `${name.replace(/[^\w.]+/g, '-').slice(0, 80)}.png`);
  const complain = (error) => console.error(`no picture ${path}: ${error.message.split('\n')[0]}`);
  await page.screenshot({ path, timeout: 10_000 }).catch(complain);
}
