// The functions of the playground, in Chromium with the real server.
// Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { test, until } from './deadline.mjs';
import { end, remove, startServer } from './server.mjs';
import { FIRST, MORE, open, visit } from './visit.mjs';

let place, small;

before(async () => {
  place = await open();
  small = await startServer('--playground', 'on', '--retain-messages', '25');
});
after(async () => {
  await place?.stop();
  small?.stop();
});

test('every lane delivers all messages, and shows their cost', async (t) => {
  const it = await visit(t, place);
  for (const id of MORE) await it.page.check(`#on-${id}`);
  for (const id of MORE) await it.until(id, 'connected', (lane) => lane.state === 'connected');
  const all = [...FIRST, ...MORE];
  await it.publish('first');
  for (const id of all)
    await it.until(id, 'the first', (lane) => lane.messages === 1 && lane.texts[0] === 'first');
  await it.page.click('#burst');
  for (const id of all) await it.until(id, 'a burst', (lane) => lane.messages === 101);
  for (const id of all) {
    const lane = await it.lane(id);
    assert.match(lane.numbers['latency p50 · last'], /^[\d.]+ m?s · [\d.]+ m?s$/, id);
    assert.match(lane.numbers['overhead per message'], /^[\d,]+ B$/, id);
    const row = await it.row(id);
    assert.deepEqual([row.messages, row['lost unreported'], row.reconnects], ['101', '0', '0'], id);
    assert.equal(
      await it.page.getAttribute(`.track[data-lane=${id}]`, 'data-at'),
      '101',
      'its marker is at the head',
    );
  }
  const cost = async (id) => parseInt((await it.row(id))['overhead per message'].replaceAll(',', ''), 10);
  const [raw, sse, longpoll] = [await cost('raw'), await cost('sse'), await cost('longpoll')];
  assert.ok(raw < sse && sse < longpoll, `the costs are ${raw}, ${sse} and ${longpoll}`);
  assert.ok((await it.lane('poll')).requests > 1);
  await it.page.click('#zero');
  await until(
    'zeros',
    async () => (await it.row('sse')).messages === '0' && (await it.lane('sse')).messages === 0,
  );
});

test('an answer without a message counts as empty', async (t) => {
  const it = await visit(t, place);
  await it.page.selectOption('#setting-poll', '0.5');
  await it.until('poll', 'empty answers', (lane) => lane.empty > 1);
  await it.page.selectOption('#setting-longpoll', '5');
  await it.until('longpoll', 'an empty answer', (lane) => lane.empty > 0);
});

test('a paused lane reads nothing, a step reads a little, and nothing is lost', async (t) => {
  const it = await visit(t, place);
  const paused = ['sse', 'longpoll'];
  for (const id of paused) await it.press(id, 'Pause');
  for (const id of paused) await it.until(id, 'paused', (lane) => lane.state === 'paused');
  await it.fallBehind(...paused);
  await until('how far behind', async () =>
    /^−[3-9]$/.test(await it.page.textContent('.track[data-lane=longpoll] .behind')),
  );
  for (const id of paused) {
    const { messages } = await it.lane(id);
    // A step of a poll may return an empty answer to an earlier request.
    await until(`${id}: a step`, async () => {
      const before = await it.lane(id);
      if (before.messages > messages) return true;
      await it.press(id, 'Step');
      const isDone = (lane) => lane.messages > before.messages || lane.empty > before.empty;
      await it.until(id, 'an exchange', (lane) => isDone(lane) || id === 'sse');
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
    assert.equal((await it.row(id))['lost unreported'], '0');
  }
});

test('a lane whose connection is cut reconnects with its cursor', async (t) => {
  const it = await visit(t, place);
  await it.publish('before');
  for (const id of FIRST) await it.until(id, 'before', (lane) => lane.messages === 1);
  for (const id of FIRST) await it.press(id, 'Cut');
  for (const id of FIRST)
    await it.until(id, 'cut', (lane) => lane.state === 'reconnecting' || lane.reconnects === 1);
  await it.publish('while', 5);
  for (const id of FIRST) {
    await it.until(id, 'what came meanwhile', (lane) => lane.messages === 6 && lane.reconnects === 1);
    assert.equal((await it.row(id))['lost unreported'], '0', id);
  }
});

for (const [what, change] of [
  ['ended', (base, channel) => end(base, channel, 'last')],
  ['deleted', remove],
]) {
  test(`every lane shows that the channel is ${what}, and does not reconnect`, async (t) => {
    const channel = `play/${what}`;
    // The page may ask for the oldest message before a lane has told it of the deletion.
    const it = await visit(t, place, { channel, expected: /status of 404/ });
    // The bytes of the raw lane do not say how they end.
    const more = MORE.filter((id) => id !== 'raw');
    for (const id of more) await it.page.check(`#on-${id}`);
    const all = [...FIRST, ...more];
    for (const id of all) await it.until(id, 'connected', (lane) => lane.state === 'connected');
    await it.publish('first');
    for (const id of all) await it.until(id, 'the first', (lane) => lane.messages === 1);
    await change(place.server.base, channel);
    const counts = async (id) => {
      const { reconnects, requests } = await it.lane(id);
      return [reconnects, requests];
    };
    const before = {};
    for (const id of all) {
      await it.until(id, what, (lane) => lane.state === what);
      const { texts } = await it.lane(id);
      assert.match(texts[0], what === 'ended' ? /has ended/ : /was deleted/, id);
      assert.equal(texts[1], what === 'ended' ? 'last' : 'first', id);
      assert.equal((await it.row(id))['lost unreported'], '0', id);
      before[id] = await counts(id);
    }
    // A lane that is switched on later is told the same.
    // The lanes move while one is gone, so a click of the mouse could miss the box.
    for (const _ of ['off', 'on']) await it.page.$eval('#on-sse', (box) => box.click());
    await it.until('sse', what, (lane) => lane.state === what);
    for (const id of all.filter((id) => id !== 'sse'))
      assert.deepEqual(await counts(id), before[id], `${id} asks again`);
    if (what === 'ended') return;
    // A message begins a new log. No lane follows it, so none is behind in it.
    await it.publish('new', 3);
    const newest = () => it.page.textContent('#log .to').then((text) => text.includes('message 3'));
    await until('the new log', newest, () => it.page.textContent('#log'));
    for (const id of all) {
      assert.equal(await it.page.textContent(`[data-lane=${id}] .behind`), 'deleted', id);
    }
  });
}

test('a slow reader reads 16 bytes at a time', async (t) => {
  const it = await visit(t, place);
  await it.press('stream', 'Slow reader');
  await it.until('stream', 'slow', (lane) => lane.state === 'slow reader');
  await it.page.click('#lane-stream .wire > summary');
  // Far more than one read may return. So the read that the page permitted before is only a small
  // part, and the rest would take an hour.
  await it.publish('x'.repeat(20_000), 10);
  await it.until('websocket', 'them', (lane) => lane.messages === 10);
  const smallReads = () =>
    it.page.$$eval(
      '#lane-stream .read.down .length',
      (all) => all.filter((e) => e.textContent === '16 B').length,
    );
  await until('small reads', async () => (await smallReads()) >= 3);
  assert.ok((await it.lane('stream')).messages < 10, 'the last message alone takes minutes');
  await it.press('stream', 'Slow reader');
  await it.until('stream', 'all', (lane) => lane.messages === 10);
});

test('the evicted part of the log is hatched, and a lane gets a report of lost messages', async (t) => {
  const it = await visit(t, place, { base: small.base });
  await it.press('longpoll', 'Pause');
  await it.publish('one');
  await it.until('websocket', 'the first', (lane) => lane.messages === 1);
  // The answer to the poll before the pause must be read first. It may be older than the message:
  // then the next step sends another request.
  await until('the first, by steps', async () => {
    const before = await it.lane('longpoll');
    if (before.messages === 1) return true;
    await it.press('longpoll', 'Step');
    await it.until('longpoll', 'an exchange', (lane) => lane.messages === 1 || lane.empty > before.empty);
  });
  await it.publish('many', 60);
  await until('all, or reported', async () => (await it.known('stream')) === 61);
  await until(
    'the eviction',
    async () => Number(await it.page.getAttribute('.evicted[height]', 'width')) > 0,
  );
  await until('the marker', async () =>
    /evicted/.test(await it.page.textContent('.track[data-lane=longpoll] .behind')),
  );
  await it.press('longpoll', 'Resume');
  await until('all, or reported', async () => (await it.known('longpoll')) === 61);
  const row = await it.row('longpoll');
  // Of 61 messages, 25 are kept, and one was read before.
  assert.deepEqual([row.messages, row['reported lost'], row['lost unreported']], ['26', '35', '0']);
  await it.until(
    'longpoll',
    'the last of them',
    (lane) => lane.gaps === 1 && lane.texts[0].startsWith('many'),
  );
});

test('a publish over the WebSocket is sent in a masked frame', async (t) => {
  const it = await visit(t, place);
  await it.page.selectOption('[name=over]', 'websocket');
  await it.page.click('#lane-websocket .wire > summary');
  await it.publish('masked');
  for (const id of FIRST) await it.until(id, 'it', (lane) => lane.texts[0] === 'masked');
  // The handshake was sent before, and a pong may have been sent since.
  let bytes;
  await it.unfold('websocket', 'up', 'FIN, text', '.hex .h', (all) => {
    bytes = all.map((hex) => hex.trim().split(/\s+/)).find(([first]) => first === '81');
    return bytes;
  });
  assert.ok(parseInt(bytes[1], 16) & 0x80, 'masked');
});

test('the bytes of each lane can be shown with notes', async (t) => {
  const it = await visit(t, place);
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
    await it.unfold(id, direction, texts, '.notes', (all) =>
      texts.every((text) => all.join().toLowerCase().includes(text.toLowerCase())),
    );
    const links = await it.page.$$eval(`#lane-${id} .notes a`, (all) => all.map((a) => a.href));
    const isKnown = (href) => /^https:\/\/(www\.rfc-editor\.org|html\.spec\.whatwg\.org)\//.test(href);
    assert.ok(links.length && links.every(isKnown), `${id}: ${links}`);
  }
  // Pointing at a note highlights its bytes.
  await it.page.locator('#lane-sse .read.down summary').first().click();
  const note = it.page.locator('#lane-sse .notes .place').first();
  await note.focus();
  assert.ok((await it.page.locator('#lane-sse .hex .lit').count()) > 0);
});

test('the number of elements of the page is limited', async (t) => {
  const it = await visit(t, place);
  await it.page.click('#lane-longpoll .wire > summary');
  await it.page.click('#flood');
  await until('the flood', async () => (await it.known('longpoll')) === 1200);
  await it.page.selectOption('[name=rate]', '20');
  await until('more', async () => (await it.known('longpoll')) > 1260);
  const sizes = await it.page.evaluate(() => [
    document.querySelectorAll('#lane-longpoll .read').length,
    document.querySelectorAll('*').length,
  ]);
  assert.ok(sizes[0] <= 96 && sizes[1] < 3000, String(sizes));
  assert.equal((await it.row('longpoll'))['lost unreported'], '0');
});

test('a channel is shared by its address', async (t) => {
  const one = await visit(t, place, { channel: 'shared' });
  const two = await visit(t, place, { channel: 'shared' });
  await one.publish('for both');
  await two.until('sse', 'it', (lane) => lane.texts[0] === 'for both');
  const fresh = await place.browser.newContext();
  t.after(() => fresh.close());
  const page = await fresh.newPage();
  await page.goto(`${place.server.base}/`);
  await until('a channel', async () => /#play-\w{4}$/.test(page.url()));
});
