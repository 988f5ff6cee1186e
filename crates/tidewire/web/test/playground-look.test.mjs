// The look and the accessibility of the playground, in Chromium. Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { test, until } from './deadline.mjs';
import { MORE, open, visit } from './visit.mjs';

let place;

before(async () => (place = await open()));
after(() => place?.stop());

test('everything can be used by keyboard, with a visible focus', async (t) => {
  const it = await visit(t, place);
  const { page } = it;
  const wanted = await page.$$eval(
    'a[href], button:not(:disabled), input:not(:disabled), select, summary',
    (all) => {
      all.filter((e) => e.checkVisibility()).forEach((e, i) => (e.dataset.wanted = i));
      return document.querySelectorAll('[data-wanted]').length;
    },
  );
  const reached = new Set();
  for (let i = 0; i < wanted + 20 && reached.size < wanted; i++) {
    await page.keyboard.press('Tab');
    const [number, seen] = await page.evaluate(() => {
      const focused = document.activeElement;
      const style = getComputedStyle(focused.closest('.chip') ?? focused);
      return [focused.dataset.wanted, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
    });
    if (number !== undefined) {
      reached.add(number);
      assert.ok(
        seen,
        `the focus on ${await page.evaluate(() => document.activeElement.outerHTML)} cannot be seen`,
      );
    }
  }
  assert.equal(reached.size, wanted, 'all were reached');
  await page.focus('#lane-sse .controls button');
  await page.keyboard.press('Space');
  await it.until('sse', 'paused', (lane) => lane.state === 'paused');
  await page.focus('[name=text]');
  await page.keyboard.press('Enter');
  await it.until('websocket', 'published', (lane) => lane.messages === 1);
  await until(
    'the announcement',
    async () => (await page.textContent('#announcements')) === 'Published 1 message.',
  );
  const nameless = await page.$$eval('button, input, select, canvas, [role]', (all) => {
    const label = (e) => e.ariaLabel || e.getAttribute('aria-labelledby') || e.labels?.length;
    const isNamed = (e) => e.textContent.trim() || label(e) || e.id === 'announcements';
    return all.filter((e) => e.checkVisibility() && !isNamed(e)).map((e) => e.outerHTML);
  });
  assert.deepEqual(nameless, [], 'everything has a name');
});

for (const width of [320, 390]) {
  test(`on a phone of ${width} pixels, nothing is cut off and all buttons are large enough`, async (t) => {
    const it = await visit(t, place, { viewport: { width, height: 800 }, hasTouch: true });
    for (const id of MORE) await it.page.check(`#on-${id}`);
    await it.publish('a long message '.repeat(20), 20);
    await it.until('sse', 'messages', (lane) => lane.messages === 20);
    await it.page.click('#lane-sse .wire > summary');
    await it.page.locator('#lane-sse .read.down summary').first().click();
    await it.page.click('#lane-sse .about > summary');
    assert.equal(await it.page.evaluate(() => document.documentElement.scrollWidth), width);
    const tooSmall = await it.page.$$eval(
      'button, select, input:not([type=checkbox]), label.chip, summary',
      (all) =>
        all
          .filter((e) => e.checkVisibility())
          .filter((e) => e.getBoundingClientRect().height < 43.5)
          .map((e) => e.outerHTML.slice(0, 120)),
    );
    assert.deepEqual(tooSmall, []);
  });
}

for (const colorScheme of ['light', 'dark']) {
  test(`text has enough contrast in the ${colorScheme} theme`, async (t) => {
    const it = await visit(t, place, { colorScheme });
    for (const id of MORE) await it.page.check(`#on-${id}`);
    await it.publish('hello');
    await it.until('sse', 'hello', (lane) => lane.messages === 1);
    await it.press('longpoll', 'Pause');
    await it.page.click('#lane-sse .wire > summary');
    await it.page.locator('#lane-sse .read.down summary').first().click();
    const poor = await it.page.evaluate(() => {
      const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
      const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
      };
      const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
      const luminance = ([r, g, b]) =>
        0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
      const behind = (element) => {
        for (let e = element; e; e = e.parentElement) {
          const colour = rgba(getComputedStyle(e).backgroundColor);
          if (colour[3] === 255) return colour;
        }
        return rgba(getComputedStyle(document.body).backgroundColor);
      };
      const poor = [];
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const ignored = element.closest('noscript, option, .chip:has(:disabled), button:disabled');
        if (!walker.currentNode.data.trim() || !element.checkVisibility() || ignored) continue;
        const [a, b] = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5)
          poor.push(`${contrast.toFixed(2)} ${element.className} ${walker.currentNode.data.slice(0, 40)}`);
      }
      return poor;
    });
    assert.deepEqual(poor, []);
    const dark = () =>
      it.page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/)[0] < 128);
    assert.equal(await dark(), colorScheme === 'dark', 'the theme of the system');
    await it.page.selectOption('#theme', colorScheme === 'dark' ? 'light' : 'dark');
    assert.equal(await dark(), colorScheme !== 'dark', 'the theme of the user');
    await it.page.reload();
    assert.equal(await dark(), colorScheme !== 'dark', 'the choice is kept');
  });
}

test('with reduced motion, markers do not move smoothly', async (t) => {
  const it = await visit(t, place, { reducedMotion: 'reduce' });
  await it.publish('still');
  await it.until('sse', 'it', (lane) => lane.messages === 1);
  assert.equal(await it.page.$eval('.marker', (marker) => getComputedStyle(marker).transitionDuration), '0s');
});

test('the page shows why a wire was refused', async (t) => {
  const context = await place.browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  const body = JSON.stringify({ detail: 'This server has reached its limit of open wires.' });
  await page.route('**/playground/wire', (route) =>
    route.fulfill({ status: 503, contentType: 'application/problem+json', body }),
  );
  await page.routeWebSocket('**/playground/wire', (socket) => socket.close({ code: 1011, reason: '' }));
  await page.goto(`${place.server.base}/`);
  await until('the reason', async () => (await page.textContent('#lane-sse .detail')).length > 0);
});
