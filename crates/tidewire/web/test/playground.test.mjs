// The playground clicked through, in real Chromium against the real server. Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './browser.mjs';
import { startServer } from './server.mjs';

const FIRST = ['poll', 'longpoll', 'sse', 'websocket', 'stream'];
const MORE = ['xhr', 'multipart', 'raw', 'iframe', 'jsonp'];

let server, small, browser;

before(async () => {
  server = await startServer('--playground', 'on', '--comet');
  small = await startServer('--playground', 'on', '--retain-messages', '25');
  browser = await launch();
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
  page.setDefaultTimeout(60_000);
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
      const [, empty = '0'] = /\(([\d,]+) empty\)/.exec(numbers.requests) ?? [];
      return {
        empty: Number(empty.replaceAll(',', '')),
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

  /** Publishes until these lanes are behind by three: what was under way when they paused may still come. */
  async fallBehind(...ids) {
    await until(`${ids} behind`, async () => {
      const { messages } = await this.lane('websocket');
      const behind = await Promise.all(ids.map(async (id) => messages - (await this.lane(id)).messages));
      if (behind.every((n) => n >= 3)) return true;
      await this.publish('more');
      await this.until('websocket', 'it', (lane) => lane.messages > messages);
    });
  }

  /** How many messages a lane has, or was told that they are gone: on a busy machine any lane may be too late for some. */
  async known(id) {
    const row = await this.row(id);
    return Number(row.messages.replaceAll(',', '')) + Number(row['told as gone'].replaceAll(',', ''));
  }

  /** Opens one write or read after another until one shows what is wanted. While one is open the list stands still, so each is closed again. */
  async unfold(id, direction, what, shown, condition) {
    const reads = this.page.locator(`#lane-${id} .read.${direction}`);
    let found = [];
    const look = async () => {
      found = [];
      for (let i = 0; i < (await reads.count()); i++) {
        const read = reads.nth(i);
        await read.locator('summary').click();
        found.push(await read.locator(shown).first().textContent());
        await read.locator('summary').click();
      }
      return condition(found);
    };
    await until(`${id} ${direction}: ${what}`, look, () => found.join('; '));
  }

  /** A row of the table below. */
  row(id) {
    return this.page.$$eval(`#summary-table tr[data-lane=${id}] td`, (cells) => Object.fromEntries(cells.map((cell) => [cell.dataset.name, cell.textContent])));
  }
}

async function until(what, condition, found = () => '') {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`not within a minute: ${what} ${await found()}`);
}

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
  await it.until('poll', 'empty answers', (lane) => lane.empty > 1);
  await it.page.selectOption('#setting-longpoll', '5');
  await it.until('longpoll', 'an empty answer', (lane) => lane.empty > 0);
});

test('a paused lane reads nothing, a step lets a little through, and nothing is lost', async (t) => {
  const it = await visit(t);
  const paused = ['sse', 'longpoll'];
  for (const id of paused) await it.press(id, 'Pause');
  for (const id of paused) await it.until(id, 'paused', (lane) => lane.state === 'paused');
  await it.fallBehind(...paused);
  await until('how far behind', async () => /^−[3-9]$/.test(await it.page.textContent('.track[data-lane=longpoll] .behind')));
  for (const id of paused) {
    const { messages } = await it.lane(id);
    // A step of a poll may bring an empty answer, of a question that was asked before.
    await until(`${id}: a step`, async () => {
      const before = await it.lane(id);
      if (before.messages > messages) return true;
      await it.press(id, 'Step');
      await it.until(id, 'an exchange', (lane) => lane.messages > before.messages || lane.empty > before.empty || id === 'sse');
    });
    assert.equal((await it.lane(id)).state, 'paused');
  }
  await it.fallBehind(...paused);
  await it.publish('last');
  await it.until('websocket', 'the last', (lane) => lane.texts[0] === 'last');
  const { messages } = await it.lane('websocket');
  for (const id of paused) {
    await it.press(id, 'Resume');
    await it.until(id, 'all', (lane) => lane.messages === messages && lane.texts[0] === 'last');
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
  // Far more than one read may bring, so that what was granted before is a small part of it, and the rest would take an hour.
  await it.publish('x'.repeat(20_000), 10);
  await it.until('websocket', 'them', (lane) => lane.messages === 10);
  const drops = () => it.page.$$eval('#lane-stream .read.down .length', (lengths) => lengths.filter((l) => l.textContent === '16 B').length);
  await until('drops', async () => (await drops()) >= 3);
  assert.ok((await it.lane('stream')).messages < 10, 'drop by drop, the last message alone takes minutes');
  await it.press('stream', 'Slow reader');
  await it.until('stream', 'all', (lane) => lane.messages === 10);
});

test('what was evicted is hatched on the log, and the lane that wanted it is told', async (t) => {
  const it = await visit(t, { base: small.base });
  await it.press('longpoll', 'Pause');
  await it.publish('one');
  await it.until('websocket', 'the first', (lane) => lane.messages === 1);
  // The poll that was under way at the pause must not take part in what follows: it is read to its end, and no other is sent. It
  // may have been answered before the message came; then the next step asks again.
  await until('the first, by steps', async () => {
    const before = await it.lane('longpoll');
    if (before.messages === 1) return true;
    await it.press('longpoll', 'Step');
    await it.until('longpoll', 'an exchange', (lane) => lane.messages === 1 || lane.empty > before.empty);
  });
  await it.publish('many', 60);
  await until('all, or told', async () => (await it.known('stream')) === 61);
  await until('the eviction', async () => Number(await it.page.getAttribute('.evicted[height]', 'width')) > 0);
  await until('the marker', async () => /evicted/.test(await it.page.textContent('.track[data-lane=longpoll] .behind')));
  await it.press('longpoll', 'Resume');
  await until('all, or told', async () => (await it.known('longpoll')) === 61);
  const row = await it.row('longpoll');
  // Of 61, 25 are kept, and one was read before.
  assert.deepEqual([row.messages, row['told as gone'], row['lost in silence']], ['26', '35', '0']);
  await it.until('longpoll', 'the last of them', (lane) => lane.gaps === 1 && lane.texts[0].startsWith('many'));
});

test('a publish over the WebSocket goes up in a masked frame', async (t) => {
  const it = await visit(t);
  await it.page.selectOption('[name=over]', 'websocket');
  await it.page.click('#lane-websocket .wire > summary');
  await it.publish('masked');
  for (const id of FIRST) await it.until(id, 'it', (lane) => lane.texts[0] === 'masked');
  // A pong may have gone up since; the handshake did before.
  let bytes;
  await it.unfold('websocket', 'up', 'FIN, text', '.hex .h', (all) => {
    bytes = all.map((hex) => hex.trim().split(/\s+/)).find(([first]) => first === '81');
    return bytes;
  });
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
    await it.unfold(id, direction, texts, '.notes', (all) => texts.every((text) => all.join().toLowerCase().includes(text.toLowerCase())));
    const links = await it.page.$$eval(`#lane-${id} .notes a`, (all) => all.map((a) => a.href));
    assert.ok(links.length && links.every((href) => /^https:\/\/(www\.rfc-editor\.org|html\.spec\.whatwg\.org)\//.test(href)), `${id}: ${links}`);
  }
  // Pointing at a note lights its bytes.
  await it.page.locator('#lane-sse .read.down summary').first().click();
  const note = it.page.locator('#lane-sse .notes .place').first();
  await note.focus();
  assert.ok((await it.page.locator('#lane-sse .hex .lit').count()) > 0);
});

test('the list of bytes, the ticks and all else stay within bounds', async (t) => {
  const it = await visit(t);
  await it.page.click('#lane-longpoll .wire > summary');
  await it.page.click('#flood');
  await until('the flood', async () => (await it.known('longpoll')) === 1200);
  await it.page.selectOption('[name=rate]', '20');
  await until('more', async () => (await it.known('longpoll')) > 1260);
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
  await until('the announcement', async () => (await page.textContent('#announcements')) === 'Published 1 message.');
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
