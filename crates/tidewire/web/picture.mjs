// Takes the screenshot of the README. Build the server first, as a release: a debug build would
// show higher latencies. In this folder:
//   TIDEWIRE_BIN=../../../target/release/tidewire node picture.mjs ../../../docs/playground.png
//   pngquant --force --ext .png ../../../docs/playground.png
import { chromium } from 'playwright-core';
import { startServer } from './test/server.mjs';

const server = await startServer('--playground', 'on', '--retain-messages', '25');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const page = await browser.newPage({ colorScheme: 'light', viewport: { width: 1400, height: 1940 } });
  await page.goto(`${server.base}/#demo`);
  const press = (id, button) => page.click(`#lane-${id} .controls button:has-text("${button}")`);
  const number = async () => Number((await page.textContent('#log .to')).match(/\d+/)?.[0] ?? 0);
  const messages = async (n) => {
    for (const end = (await number()) + n; (await number()) < end;) await page.waitForTimeout(50);
  };
  await page.selectOption('[name=rate]', '1');
  await messages(8);
  await press('longpoll', 'Pause');
  await page.fill('[name=count]', '30');
  await page.click('#publish [type=submit]');
  await messages(30);
  await page.fill('[name=count]', '1');
  await press('longpoll', 'Resume');
  await messages(2);
  await press('sse', 'Cut');
  await messages(4);
  await press('stream', 'Pause');
  await page.click('#lane-sse .wire > summary');
  await page.locator('#lane-sse .read.down summary').last().click();
  await page.locator('#lane-sse .notes li').nth(1).hover();
  await page.evaluate(() => scrollTo(0, 0));
  await messages(2);
  await page.screenshot({ path: process.argv[2] });
} finally {
  await browser.close();
  server.stop();
}
