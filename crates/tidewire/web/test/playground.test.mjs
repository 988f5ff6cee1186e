// The playground clicked through, in real Chromium against the real server. Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { startServer } from './server.mjs';

const FIRST = ['poll', 'longpoll', 'sse', 'websocket', 'stream'];
const MORE = ['xhr', 'multipart', 'raw', 'iframe', 'jsonp'];

let server, small, browser;

before(async () => {
  server = await startServer('--playground', 'on', '--comet');
  small = await startServer('--playground', 'on', '--retain-messages', '25');
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  });
});

after(async () => {
  await browser?.close();
  server?.stop();
  small?.stop();
});

let visits = 0;

/** A page on a channel of its own whose lanes are all connected; at the end it must not have complained. */
async function visit(t, { base = server.base, channel = `visit-${visits++}`, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.stack));
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, [], 'the page complained');
  });
  await page.goto(`${base}/#${channel}`);
  const it = new Visit(page);
  // The page asks the server for something before it draws the lanes.
  await page.waitForSelector(`#lane-${FIRST.at(-1)}`, { state: 'attached' });
  for (const id of FIRST) await it.until(id, 'connected', (lane) => lane.state === 'connected');
  return it;
}

class Visit {
  constructor(page) {
    this.page = page;
  }

  /** What a lane shows. */
  lane(id) {
    return this.page.$eval(`#lane-${id}`, (lane) => {
      const numbers = Object.fromEntries([...lane.querySelectorAll('.numbers div')].map((row) => [row.querySelector('dt').textContent, row.querySelector('dd').textContent]));
      const count = (name) => Number(numbers[name].split(' ')[0].replaceAll(',', ''));
      return {
        numbers,
        state: lane.querySelector('.state').textContent,
        messages: count('messages'),
        requests: count('requests'),
        reconnects: count('reconnects'),
        gaps: count('gaps told'),
        texts: [...lane.querySelectorAll('.messages .data')].map((data) => data.textContent),
      };
    });
  }

  until(id, what, condition) {
    return until(`${id}: ${what}`, async () => condition(await this.lane(id)), async () => JSON.stringify(await this.lane(id)));
  }

  press(id, button) {
    return this.page.click(`#lane-${id} .controls button:has-text("${button}")`);
  }

  async publish(text, count = 1) {
    await this.page.fill('[name=text]', text);
    await this.page.fill('[name=count]', String(count));
    await this.page.click('#publish [type=submit]');
  }

  /** A row of the table below. */
  row(id) {
    return this.page.$$eval(`#summary-table tr[data-lane=${id}] td`, (cells) => Object.fromEntries(cells.map((cell) => [cell.dataset.name, cell.textContent])));
  }
}

async function until(what, condition, found = () => '') {
  for (let i = 0; i < 600; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`not within 30 s: ${what} ${await found()}`);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test('every lane brings what is published, and says what it cost', async (t) => {
  const it = await visit(t);
  for (const id of MORE) await it.page.check(`#on-${id}`);
  for (const id of MORE) await it.until(id, 'connected', (lane) => lane.state === 'connected');
  const all = [...FIRST, ...MORE];
  await it.publish('first');
  for (const id of all) await it.until(id, 'the first', (lane) => lane.messages === 1 && lane.texts[0] === 'first');
  await it.page.click('#burst');
  for (const id of all) await it.until(id, 'a burst', (lane) => lane.messages === 101);
  for (const id of all) {
    const lane = await it.lane(id);
    assert.match(lane.numbers['latency p50 · last'], /^[\d.]+ m?s · [\d.]+ m?s$/, id);
    assert.match(lane.numbers['overhead a message'], /^[\d,]+ B$/, id);
    const row = await it.row(id);
    assert.deepEqual([row.messages, row['lost in silence'], row.reconnects], ['101', '0', '0'], id);
    assert.equal(await it.page.getAttribute(`.track[data-lane=${id}]`, 'data-at'), '101', 'its marker is at the head');
  }
  const cost = async (id) => parseInt((await it.row(id))['overhead per message'].replaceAll(',', ''), 10);
  assert.ok((await cost('raw')) < (await cost('sse')) && (await cost('sse')) < (await cost('longpoll')), 'as one would think');
  assert.ok((await it.lane('poll')).requests > 1);
  await it.page.click('#zero');
  await until('zeros', async () => (await it.row('sse')).messages === '0' && (await it.lane('sse')).messages === 0);
});

test('asking for nothing new is empty, and counted', async (t) => {
  const it = await visit(t);
  await it.page.selectOption('#setting-poll', '0.5');
  await it.until('poll', 'empty answers', (lane) => /\([2-9] empty\)/.test(lane.numbers.requests));
  await it.page.selectOption('#setting-longpoll', '5');
  await it.until('longpoll', 'an empty answer', (lane) => /\(\d+ empty\)/.test(lane.numbers.requests));
});

test('a paused lane reads nothing, a step lets a little through, and nothing is lost', async (t) => {
  const it = await visit(t);
  for (const id of ['sse', 'longpoll']) await it.press(id, 'Pause');
  await it.until('sse', 'paused', (lane) => lane.state === 'paused');
  for (const text of ['one', 'two', 'three']) {
    await it.publish(text);
    await it.until('websocket', text, (lane) => lane.texts[0] === text);
  }
  await pause(300);
  for (const id of ['sse', 'longpoll']) assert.equal((await it.lane(id)).messages, 0, `${id} is paused`);
  assert.equal(await it.page.textContent('.track[data-lane=longpoll] .behind'), '−3');
  for (const id of ['sse', 'longpoll']) {
    await it.press(id, 'Step');
    await it.until(id, 'a step', (lane) => lane.messages > 0 && lane.state === 'paused');
  }
  await it.publish('four');
  await it.until('websocket', 'four', (lane) => lane.texts[0] === 'four');
  await pause(300);
  for (const id of ['sse', 'longpoll']) {
    assert.ok((await it.lane(id)).messages < 4, `${id} is paused again`);
    await it.press(id, 'Resume');
    await it.until(id, 'all', (lane) => lane.messages === 4 && lane.texts[0] === 'four');
    assert.equal((await it.row(id))['lost in silence'], '0');
  }
});

test('a lane whose cable is cut comes back with its cursor', async (t) => {
  const it = await visit(t);
  await it.publish('before');
  for (const id of FIRST) await it.until(id, 'before', (lane) => lane.messages === 1);
  for (const id of FIRST) await it.press(id, 'Cut');
  for (const id of FIRST) await it.until(id, 'cut', (lane) => lane.state === 'reconnecting' || lane.reconnects === 1);
  await it.publish('while', 5);
  for (const id of FIRST) {
    await it.until(id, 'what came meanwhile', (lane) => lane.messages === 6 && lane.reconnects === 1);
    assert.equal((await it.row(id))['lost in silence'], '0', id);
  }
});

test('a slow reader reads drop by drop', async (t) => {
  const it = await visit(t);
  await it.press('stream', 'Slow reader');
  await it.until('stream', 'slow', (lane) => lane.state === 'slow reader');
  await it.page.click('#lane-stream .wire > summary');
  // More than one read may bring, so that their end comes in drops whatever was granted before.
  await it.publish('x'.repeat(2_000), 10);
  await it.until('websocket', 'them', (lane) => lane.messages === 10);
  const drops = () => it.page.$$eval('#lane-stream .read.down .length', (lengths) => lengths.filter((l) => l.textContent === '16 B').length);
  await until('drops', async () => (await drops()) >= 3);
  assert.ok((await it.lane('stream')).messages < 10, 'drop by drop, the last message alone takes half a minute');
  await it.press('stream', 'Slow reader');
  await it.until('stream', 'all', (lane) => lane.messages === 10);
});

test('what was evicted is hatched on the log, and the lane that wanted it is told', async (t) => {
  const it = await visit(t, { base: small.base });
  await it.press('longpoll', 'Pause');
  await it.press('sse', 'Pause');
  await it.publish('many', 60);
  const all = async (id) => {
    const row = await it.row(id);
    return Number(row.messages) + Number(row['told as gone']) === 60;
  };
  // On a busy machine even a lane that reads all the time may be too late for some of them.
  await until('all, or told', () => all('stream'));
  await until('the eviction', async () => Number(await it.page.getAttribute('.evicted[height]', 'width')) > 0);
  await until('the marker', async () => /evicted/.test(await it.page.textContent('.track[data-lane=longpoll] .behind')));
  await it.press('longpoll', 'Resume');
  await it.until('longpoll', 'the gap', (lane) => lane.gaps > 0 && lane.texts[0].startsWith('many'));
  await until('all, or told', () => all('longpoll'));
  const row = await it.row('longpoll');
  assert.ok(Number(row['told as gone']) > 20 && row['lost in silence'] === '0', JSON.stringify(row));
});

test('a publish over the WebSocket goes up in a masked frame', async (t) => {
  const it = await visit(t);
  await it.page.selectOption('[name=over]', 'websocket');
  await it.page.click('#lane-websocket .wire > summary');
  await it.publish('masked');
  for (const id of FIRST) await it.until(id, 'it', (lane) => lane.texts[0] === 'masked');
  // A pong may have gone up since; the handshake did before.
  const frames = it.page.locator('#lane-websocket .read.up');
  let bytes = [];
  for (let i = (await frames.count()) - 1; i > 0 && bytes[0] !== '81'; i--) {
    await frames.nth(i).locator('summary').click();
    bytes = (await frames.nth(i).locator('.hex .h').first().textContent()).trim().split(/\s+/);
  }
  assert.equal(bytes[0], '81', 'FIN, text');
  assert.ok(parseInt(bytes[1], 16) & 0x80, 'masked');
});

test('the bytes of each lane can be unfolded, with what they mean', async (t) => {
  const it = await visit(t);
  await it.publish('hello');
  for (const [id, direction, texts] of [
    ['poll', 'up', ['GET', 'Host']],
    ['longpoll', 'down', ['200', 'Content-Length']],
    ['sse', 'down', ['Transfer-Encoding', 'chunk', 'data', 'id']],
    ['websocket', 'down', ['101', 'FIN', 'opcode']],
    ['stream', 'down', ['chunk']],
  ]) {
    await it.until(id, 'hello', (lane) => lane.messages === 1);
    await it.page.click(`#lane-${id} .wire > summary`);
    const reads = it.page.locator(`#lane-${id} .read.${direction}`);
    await until(`reads of ${id}`, async () => (await reads.count()) > 0);
    let notes = '';
    for (let i = 0; i < (await reads.count()); i++) {
      await reads.nth(i).locator('summary').click();
      notes += (await reads.nth(i).locator('.notes').textContent()).toLowerCase();
    }
    for (const text of texts) assert.ok(notes.includes(text.toLowerCase()), `${id} ${direction}: no "${text}" in ${notes}`);
    const links = await it.page.$$eval(`#lane-${id} .notes a`, (all) => all.map((a) => a.href));
    assert.ok(links.length && links.every((href) => /^https:\/\/(www\.rfc-editor\.org|html\.spec\.whatwg\.org)\//.test(href)), `${id}: ${links}`);
  }
  // Pointing at a note lights its bytes.
  const note = it.page.locator('#lane-sse .notes .place').first();
  await note.focus();
  assert.ok((await it.page.locator('#lane-sse .hex .lit').count()) > 0);
});

test('the list of bytes, the ticks and all else stay within bounds', async (t) => {
  const it = await visit(t);
  await it.page.click('#lane-longpoll .wire > summary');
  await it.page.click('#flood');
  await it.until('longpoll', 'the flood', (lane) => lane.messages === 1200);
  await it.page.selectOption('[name=rate]', '20');
  await it.until('longpoll', 'more', (lane) => lane.messages > 1260);
  const sizes = await it.page.evaluate(() => [document.querySelectorAll('#lane-longpoll .read').length, document.querySelectorAll('*').length]);
  assert.ok(sizes[0] <= 96 && sizes[1] < 3000, String(sizes));
  assert.equal((await it.row('longpoll'))['lost in silence'], '0');
});

test('a channel is shared by its address', async (t) => {
  const one = await visit(t, { channel: 'shared' });
  const two = await visit(t, { channel: 'shared' });
  await one.publish('for both');
  await two.until('sse', 'it', (lane) => lane.texts[0] === 'for both');
  const fresh = await browser.newContext();
  t.after(() => fresh.close());
  const page = await fresh.newPage();
  await page.goto(`${server.base}/`);
  await until('a channel', async () => /#play-\w{4}$/.test(page.url()));
});

test('all of it can be reached and used by keyboard, with a focus that can be seen', async (t) => {
  const it = await visit(t);
  const { page } = it;
  const wanted = await page.$$eval('a[href], button:not(:disabled), input:not(:disabled), select, summary', (all) => {
    all.filter((e) => e.checkVisibility()).forEach((e, i) => (e.dataset.wanted = i));
    return document.querySelectorAll('[data-wanted]').length;
  });
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
      assert.ok(seen, `the focus on ${await page.evaluate(() => document.activeElement.outerHTML)} cannot be seen`);
    }
  }
  assert.equal(reached.size, wanted, 'all were reached');
  await page.focus('#lane-sse .controls button');
  await page.keyboard.press('Space');
  await it.until('sse', 'paused', (lane) => lane.state === 'paused');
  await page.focus('[name=text]');
  await page.keyboard.press('Enter');
  await it.until('websocket', 'published', (lane) => lane.messages === 1);
  assert.equal(await page.textContent('#announcements'), 'Published 1 message.');
  const nameless = await page.$$eval('button, input, select, canvas, [role]', (all) =>
    all.filter((e) => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.getAttribute('aria-labelledby') || e.labels?.length || e.id === 'announcements')).map((e) => e.outerHTML),
  );
  assert.deepEqual(nameless, [], 'everything has a name');
});

for (const width of [320, 390]) {
  test(`a phone of ${width} pixels shows all of it without scrolling sideways, and fingers hit the buttons`, async (t) => {
    const it = await visit(t, { viewport: { width, height: 800 }, hasTouch: true });
    for (const id of MORE) await it.page.check(`#on-${id}`);
    await it.publish('a long message '.repeat(20), 20);
    await it.until('sse', 'messages', (lane) => lane.messages === 20);
    await it.page.click('#lane-sse .wire > summary');
    await it.page.locator('#lane-sse .read.down summary').first().click();
    await it.page.click('#lane-sse .about > summary');
    assert.equal(await it.page.evaluate(() => document.documentElement.scrollWidth), width);
    const tooSmall = await it.page.$$eval('button, select, input:not([type=checkbox]), label.chip, summary', (all) =>
      all.filter((e) => e.checkVisibility()).filter((e) => e.getBoundingClientRect().height < 43.5).map((e) => e.outerHTML.slice(0, 120)),
    );
    assert.deepEqual(tooSmall, []);
  });
}

for (const colorScheme of ['light', 'dark']) {
  test(`text can be read in ${colorScheme}`, async (t) => {
    const it = await visit(t, { colorScheme });
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
      const luminance = ([r, g, b]) => [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
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
        if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest('noscript, option, .chip:has(:disabled), button:disabled')) continue;
        const [a, b] = [luminance(rgba(getComputedStyle(element).color)), luminance(behind(element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) poor.push(`${contrast.toFixed(2)} ${element.className} ${walker.currentNode.data.slice(0, 40)}`);
      }
      return poor;
    });
    assert.deepEqual(poor, []);
    const dark = () => it.page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/)[0] < 128);
    assert.equal(await dark(), colorScheme === 'dark', 'as the system says');
    await it.page.selectOption('#theme', colorScheme === 'dark' ? 'light' : 'dark');
    assert.equal(await dark(), colorScheme !== 'dark', 'as the reader says');
    await it.page.reload();
    assert.equal(await dark(), colorScheme !== 'dark', 'and again');
  });
}

test('who wants less motion gets less', async (t) => {
  const it = await visit(t, { reducedMotion: 'reduce' });
  await it.publish('still');
  await it.until('sse', 'it', (lane) => lane.messages === 1);
  assert.equal(await it.page.$eval('.marker', (marker) => getComputedStyle(marker).transitionDuration), '0s');
});

test('a wire that cannot be had is explained', async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.route('**/playground/wire', (route) =>
    route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ detail: 'As many wires are open as this server allows.' }) }),
  );
  await page.routeWebSocket('**/playground/wire', (socket) => socket.close({ code: 1011, reason: '' }));
  await page.goto(`${server.base}/`);
  await until('the reason', async () => (await page.textContent('#lane-sse .detail')).length > 0);
});
