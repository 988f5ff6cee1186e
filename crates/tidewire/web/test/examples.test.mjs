// The pages of the examples in Chromium. Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { keepPicture, launch, openPage } from './browser.mjs';
import { test, until, within } from './deadline.mjs';
import { firstLine } from './server.mjs';

const EXAMPLES = process.env.TIDEWIRE_EXAMPLES;

let browser;

before(async () => {
  browser = await launch('--autoplay-policy=no-user-gesture-required');
});

after(() => browser?.close());

/** Starts an example on a free port. It ends with the test. */
async function start(t, name) {
  if (!EXAMPLES) throw new Error('TIDEWIRE_EXAMPLES is not set; run these tests with `cargo xtask browser`');
  const child = spawn(join(EXAMPLES, name), ['127.0.0.1:0'], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const line = await firstLine(child);
  return { base: line.match(/http:\/\/\S+/)[0], child };
}

/**
 * Opens the page and waits until it is connected. It has a new storage unless a context is given.
 */
async function visit(t, base, context) {
  const page = await openPage(t, browser, base, context);
  page.on('pageerror', (error) => assert.fail(`a script of the page failed: ${error.stack}`));
  await page.waitForSelector('#state[data-state=open]');
  return page;
}

async function newContext(t, options) {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  return context;
}

/**
 * Asserts that the page is not wider than a window or a phone. Keeps pictures in both colour
 * schemes.
 */
async function looks(page, name) {
  for (const [colorScheme, width, height] of [
    ['dark', 360, 740],
    ['light', 1100, 760],
  ]) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await page.evaluate(() => new Promise(requestAnimationFrame));
    const fits = await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    assert.ok(fits, `${name} fits into ${width} pixels`);
    await keepPicture(page, `example ${name} ${colorScheme}`);
  }
}

async function post(base, channel, body) {
  const answer = await fetch(`${base}/c/${channel}`, { method: 'POST', body });
  assert.equal(answer.status, 201);
}

const text = (page, selector) => page.textContent(selector);
const number = async (page, selector) => Number((await text(page, selector)).replace(/[^0-9.]/g, ''));
const shows = (page, what) => page.getByText(what).first().waitFor();

test('chat: two people, one of them by the keyboard, and a terminal', async (t) => {
  const { base } = await start(t, 'chat');
  const [ada, grace] = [await visit(t, base), await visit(t, base)];
  await ada.keyboard.type('Ada');
  await ada.keyboard.press('Tab');
  await ada.keyboard.type('is <b>anybody</b> there?');
  await ada.keyboard.press('Enter');
  await shows(grace, 'is <b>anybody</b> there?');
  await grace.fill('#name', 'Grace');
  await grace.fill('#text', 'yes');
  await grace.click('button');
  await shows(ada, 'yes');
  assert.equal(await ada.locator('li.own').count(), 1, 'her own line stands apart');
  await post(base, 'lobby', 'hello from a terminal');
  await shows(ada, /^a terminal.*hello from a terminal$/);
  const late = await visit(t, base);
  await shows(late, 'is <b>anybody</b> there?');
  await looks(ada, 'chat');
});

test('notifications: messages while the page was closed, and lost messages', async (t) => {
  const { base } = await start(t, 'notifications');
  const context = await newContext(t);
  const first = await visit(t, base, context);
  await first.fill('#text', 'while here');
  await first.click('text=Publish');
  await shows(first, 'while here');
  assert.match(await first.title(), /^\(\d+\)/, 'the number of unread ones is in the title');
  await first.click('text=Mark all as read');
  assert.equal(await first.locator('.unread[data-channel=news]').count(), 0);
  await first.close();

  await post(base, 'news', 'one while away');
  await post(base, 'mail', 'two while away');
  const second = await visit(t, base, context);
  await shows(second, 'one while away');
  await shows(second, 'two while away');
  assert.match(await text(second, '#away-title'), /^While you were away: \d+ notifications$/);
  assert.equal(await second.getByText('while here').count(), 0, 'a seen notification is not shown again');
  await second.click('#channel-mail');
  assert.ok(await second.getByText('two while away').isHidden());
  await looks(second, 'notifications');
  await second.close();

  for (let i = 0; i < 130; i++) await post(base, 'news', `many ${i}`);
  const third = await visit(t, base, context);
  await shows(third, 'many 129');
  await shows(third, /notifications are too old/);
});

test('stock ticker: a slow reader skips prices and is not late', async (t) => {
  const { base } = await start(t, 'stock_ticker');
  const page = await visit(t, base);
  await page.waitForFunction(() =>
    [...document.querySelectorAll('.price')].every((price) => /^\d+\.\d\d$/.test(price.textContent)),
  );
  await page.waitForFunction(() => Number(document.querySelector('#rate').textContent) > 5);
  await looks(page, 'stock_ticker');
  const skipped = await number(page, '#skipped');
  await page.check('#slow');
  await page.waitForSelector('#state:has-text("reading once per second")');
  await page.waitForFunction(
    (before) => Number(document.querySelector('#skipped').textContent.replace(/\D/g, '')) > before + 100,
    skipped,
  );
  const before = await text(page, '.price');
  await page.waitForFunction((before) => document.querySelector('.price').textContent !== before, before);
});

test('cursors: pointers moved by mouse, finger and keyboard, and rings', async (t) => {
  const { base } = await start(t, 'cursors');
  const [ada, grace] = [await visit(t, base), await visit(t, base, await newContext(t, { hasTouch: true }))];
  await ada.fill('#name', 'Ada');
  await ada.mouse.move(300, 300);
  await ada.mouse.move(420, 320, { steps: 12 });
  await shows(grace, 'Ada');
  const place = () => grace.$eval('.pointer', (node) => node.style.transform);
  await grace.waitForFunction(() =>
    /translate\([1-9]/.test(document.querySelector('.pointer').style.transform),
  );
  const before = await place();
  await ada.focus('#board');
  await ada.keyboard.press('ArrowRight');
  await grace.waitForFunction(
    (before) => document.querySelector('.pointer').style.transform !== before,
    before,
  );
  await grace.evaluate(() => {
    globalThis.rings = 0;
    const count = (changes) => {
      const added = changes.flatMap((change) => [...change.addedNodes]);
      rings += added.filter((node) => node.className === 'ping').length;
    };
    new MutationObserver(count).observe(document.querySelector('#board'), { childList: true });
  });
  await ada.keyboard.press(' ');
  await grace.waitForFunction(() => rings > 0);
  await grace.touchscreen.tap(200, 300);
  await ada.waitForFunction(() => document.querySelector('#peers').textContent === '1');
  // Many movements in one task. The page publishes at most one position every 40 ms.
  const sent = await number(ada, '#sent');
  await ada.evaluate(() => {
    const board = document.querySelector('#board');
    const { left, top, width } = board.getBoundingClientRect();
    for (let i = 0; i <= 200; i++) {
      const clientX = left + (width * (i + 600)) / 1000;
      board.dispatchEvent(
        new PointerEvent('pointermove', { clientX, clientY: top + 50, bubbles: true, pointerType: 'mouse' }),
      );
    }
  });
  await ada.waitForFunction(
    (sent) => Number(document.querySelector('#sent').textContent.replace(/\D/g, '')) > sent,
    sent,
  );
  await grace.waitForFunction(() =>
    /translate\([4-9]/.test(document.querySelector('.pointer').style.transform),
  );
  assert.ok((await number(ada, '#sent')) - sent < 200, 'not every movement was sent');
  await looks(ada, 'cursors');
  await grace.close({ runBeforeUnload: true });
  await ada.waitForFunction(() => document.querySelector('#peers').textContent === '0');
});

test('live log tail: lines of the standard input, the filter, and following', async (t) => {
  const { base, child } = await start(t, 'live_log_tail');
  child.stdin.write('INFO it begins\nERROR it <i>breaks</i>\n');
  const page = await visit(t, base);
  await shows(page, 'ERROR it <i>breaks</i>');
  assert.equal(await page.locator('.error').count(), 1);
  child.stdin.write(Array.from({ length: 300 }, (_, i) => `INFO line ${i}\n`).join(''));
  await shows(page, 'INFO line 299');
  const atEnd = () => page.$eval('#log', (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 24);
  await until('it follows', atEnd);
  await page.keyboard.press('f');
  assert.ok(!(await page.isChecked('#follow')));
  child.stdin.write('WARN one more\n'.repeat(20));
  await page.waitForFunction(() => document.querySelectorAll('.warn').length === 20);
  assert.ok(!(await atEnd()), 'it stays where it is');
  await page.keyboard.press('f');
  await until('it follows again', atEnd);
  await page.keyboard.press('/');
  await page.keyboard.type('breaks');
  await page.waitForFunction(
    () => [...document.querySelectorAll('#log div')].filter((line) => !line.hidden).length === 1,
  );
  await until('its mark', async () => (await text(page, 'mark')) === 'breaks');
  await page.fill('#filter', '');
  await looks(page, 'live_log_tail');

  // A reader that is offline while more lines arrive than are kept gets the number of lost lines.
  await page.context().setOffline(true);
  await page.evaluate(() => dispatchEvent(new Event('pagehide')));
  child.stdin.write('DEBUG flood\n'.repeat(12_000));
  // Now there were 12,322 lines, and 10,000 are kept.
  const earliest = async () => (await (await fetch(`${base}/c/log?limit=1`)).json()).messages[0].cursor;
  await until('all lines are there', async () => (await earliest()).endsWith('-2323'));
  await page.context().setOffline(false);
  await page.evaluate(() => dispatchEvent(new Event('pageshow')));
  await page.waitForFunction(() => document.querySelector('#count').textContent === '10,322 lines');
  assert.equal(await text(page, '#missed'), ', 2,000 missed');
});

test('video: a video plays for two viewers during its upload', async (t) => {
  const { base } = await start(t, 'video');
  const [maker, viewer] = [await visit(t, base), await visit(t, base)];
  const playing = (page) => page.waitForFunction(() => document.querySelector('video').currentTime > 0);
  await maker.click('text=Record a test video');
  await maker.waitForSelector('#upload-state:has-text("upload complete")');
  await playing(viewer);
  await playing(maker);
  await looks(maker, 'video');

  // Only the first half of the same film, uploaded by a program: it plays too.
  const film = Buffer.from(await (await fetch(`${base}/c/film?feed=raw`)).arrayBuffer());
  const upload = request(`${base}/c/film`, { method: 'PUT', headers: { 'Content-Type': 'video/webm' } });
  t.after(() => upload.destroy());
  upload.on('error', () => {});
  upload.write(film.subarray(0, film.length / 2));
  const late = await visit(t, base);
  // A video that was announced a moment ago starts by itself. An older one waits for a click.
  await late.waitForFunction(
    () => document.querySelector('#dark').hidden || !document.querySelector('#play').hidden,
  );
  if (await late.isVisible('#play')) await late.click('#play');
  await playing(late);
  assert.ok(!upload.writableEnded, 'the upload has not ended');
  upload.end(film.subarray(film.length / 2));
  const [answer] = await within('the end of the upload', once(upload, 'response'));
  assert.equal(answer.statusCode, 201);
  await late.waitForFunction(() => document.querySelector('video').ended);

  // With the file picker.
  const before = await late.$eval('video', (video) => video.src);
  await viewer.setInputFiles('#file', { name: 'tide.webm', mimeType: 'video/webm', buffer: film });
  await viewer.waitForSelector('#upload-state:has-text("tide.webm: upload complete")');
  await late.waitForFunction((before) => document.querySelector('video').src !== before, before);
  await playing(late);
});
