// The client and the server's feeds in real Chromium. Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { launch, openPage } from './browser.mjs';
import { test, until } from './deadline.mjs';
import { end, remove, startProxy, startServer } from './server.mjs';

const TRANSPORTS = ['websocket', 'sse', 'fetch', 'longpoll', 'poll'];

let server, proxy, browser;

before(async () => {
  server = await startServer('--heartbeat', '1');
  proxy = await startProxy(server.base);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  proxy?.stop();
  server?.stop();
});

/** A page of the proxy's origin with the client in it. */
async function page(t, base = proxy.base) {
  Object.assign(proxy, { mode: 'pass', holdFrom: null });
  const page = await openPage(t, browser, `${base}/tidewire.js`);
  await page.evaluate(async () => Object.assign(globalThis, await import('/tidewire.js')));
  return page;
}

async function post(channel, text, query = '') {
  const answer = await fetch(`${server.base}/c/${channel}${query}`, { method: 'POST', body: text });
  assert.equal(answer.status, 201);
}

for (const transport of TRANSPORTS) {
  test(`${transport} delivers old and new messages, and resumes after a cut`, async (t) => {
    const p = await page(t);
    const channel = `each-${transport}`;
    await post(channel, 'one');
    await post(channel, 'two\nlines', '?event=named');
    await p.evaluate(
      ([channel, transport]) => {
        globalThis.got = [];
        globalThis.sub = subscribe(`/c/${channel}`, {
          transports: [transport],
          since: 'earliest',
          pollInterval: 50,
          backoff: { min: 20, max: 50 },
        });
        sub.on('message', (m) => got.push(m.data));
      },
      [channel, transport],
    );
    for (let i = 0; i < 20; i++) {
      await post(channel, `m${i}`);
      if (i % 5 === 4) proxy.cut();
    }
    await until('all messages', async () => (await p.evaluate(() => got.length)) >= 22);
    const want = ['one', 'two\nlines', ...Array.from({ length: 20 }, (_, i) => `m${i}`)];
    assert.deepEqual(await p.evaluate(() => got), want, 'each once, in order');
    await p.evaluate(() => sub.close());
    assert.equal(await p.evaluate(() => sub.state), 'closed');
  });
}

/** Reads a channel in a loop to its end. What the page is told is in `got` and `over`. */
const readAll = (p, channel, options) =>
  p.evaluate(
    ([channel, options]) => {
      Object.assign(globalThis, { got: [], ends: [], errors: [], over: undefined });
      globalThis.sub = subscribe(`/c/${channel}`, {
        since: 'earliest',
        pollInterval: 50,
        backoff: { min: 20, max: 50 },
        ...options,
      });
      sub.on('end', ({ channel, cursor }) => ends.push(channel ?? cursor));
      sub.on('error', ({ detail }) => errors.push(detail));
      (async () => {
        try {
          for await (const { data } of sub) got.push(data);
          over = sub.state;
        } catch (error) {
          over = `${error.status} ${error.channel}`;
        }
      })();
    },
    [channel, options],
  );
const isOver = (p, how) => until(`it is ${how}`, () => p.evaluate((how) => over === how, how));

/** Fails if the page sends a request for the channel, or opens a WebSocket, after the end. */
async function isQuiet(channel) {
  const mine = () => proxy.requests.filter((line) => line.includes(`/c/${channel}?`)).length;
  const before = mine();
  for (let i = 0; i < 20; i++) await (await fetch(`${proxy.base}/c/other`)).text();
  assert.equal(mine(), before, 'it asks again');
}

for (const transport of TRANSPORTS) {
  test(`${transport} reads a channel to its end, and stops`, async (t) => {
    const p = await page(t);
    for (const last of ['last', '']) {
      const channel = `end/${transport}/${last || 'none'}`;
      await post(channel, 'one');
      await readAll(p, channel, { transports: [transport] });
      await until('one', () => p.evaluate(() => got.length === 1));
      const cursor = await end(server.base, channel, last);
      await isOver(p, 'closed');
      assert.deepEqual(await p.evaluate(() => got), last ? ['one', last] : ['one']);
      assert.deepEqual(await p.evaluate(() => [ends, errors, sub.cursor]), [[cursor], [], cursor]);
      await isQuiet(channel);

      await readAll(p, channel, { transports: [transport], since: cursor });
      await isOver(p, 'closed');
      assert.deepEqual(await p.evaluate(() => [got, errors, ends.length]), [[], [], 1], 'from the end');
      await isQuiet(channel);
    }
  });

  test(`${transport} tells which channel was deleted, and stops`, async (t) => {
    const p = await page(t);
    const channel = `deleted/${transport}`;
    await post(channel, 'one');
    await post('other', 'x');
    await readAll(p, `${channel},other`, { transports: [transport], since: 'earliest' });
    await until('both', () => p.evaluate(() => got.length >= 2));
    await remove(server.base, channel);
    await isOver(p, `404 ${channel}`);
    assert.deepEqual(await p.evaluate(() => errors), [`the channel was deleted: ${channel}`]);
    await isQuiet(channel);

    await readAll(p, channel, { transports: [transport] });
    await isOver(p, `404 ${channel}`);
    assert.deepEqual(await p.evaluate(() => [got, errors.length]), [[], 1], 'a new subscription');
    await isQuiet(channel);
  });
}

for (const transport of ['websocket', 'sse', 'fetch']) {
  test(`${transport} comes back after a cut between the last message and the end`, async (t) => {
    const p = await page(t);
    const channel = `cut/${transport}`;
    await readAll(p, channel, { transports: [transport] });
    await until('open', () => p.evaluate(() => sub.state === 'open'));
    proxy.holdFrom = '{"type":"end"';
    const cursor = await end(server.base, channel, 'last');
    await until('the last message', () => p.evaluate(() => got.length === 1));
    assert.equal(await p.evaluate(() => over), undefined);
    proxy.holdFrom = null;
    proxy.cut();
    await isOver(p, 'closed');
    assert.deepEqual(await p.evaluate(() => [got, ends]), [['last'], [cursor]]);
    await isQuiet(channel);
  });

  test(`${transport} reads several channels until all have ended`, async (t) => {
    const p = await page(t);
    const channel = `many/${transport}`;
    await post(`${channel}/a`, '1');
    await end(server.base, `${channel}/a`, '2');
    await readAll(p, `${channel}/a,${channel}/b`, { transports: [transport] });
    await until('the first end', () => p.evaluate(() => ends.length === 1));
    proxy.cut();
    await post(`${channel}/b`, '3');
    await until('the message after the cut', () => p.evaluate(() => got.length === 3));
    await end(server.base, `${channel}/b`);
    await isOver(p, 'closed');
    assert.deepEqual(await p.evaluate(() => [got, ends]), [
      ['1', '2', '3'],
      [`${channel}/a`, `${channel}/b`],
    ]);
  });
}

test('a transport that does not work is replaced by the next one', async (t) => {
  for (const [mode, expected, connectTimeout] of [
    ['pass', 'websocket', 60_000],
    ['buffer', 'longpoll', 400],
  ]) {
    const p = await page(t);
    proxy.mode = mode;
    await post(`fall-${mode}`, 'x');
    const [transport, late] = await p.evaluate(
      async ([channel, connectTimeout]) => {
        const sub = subscribe(channel, { since: 'earliest', connectTimeout, backoff: { min: 10, max: 20 } });
        const late = [];
        sub.on('error', (failure) => late.push(failure.transport));
        for await (const message of sub) return [message.transport, late];
      },
      [`/c/fall-${mode}`, connectTimeout],
    );
    // On a busy machine a long poll may be late too. Then an error says so, and polling may replace
    // it.
    const isLate = expected === 'longpoll' && transport === 'poll' && late.includes('longpoll');
    assert.ok(transport === expected || isLate, `${mode}: ${transport} after ${late}`);
    assert.ok(mode === 'pass' || late.filter((name) => name === 'fetch').length > 0, `${late}`);
  }
});

test('a silent connection is cut and replaced', async (t) => {
  const p = await page(t);
  await p.evaluate(() => {
    globalThis.got = [];
    globalThis.sub = subscribe('/c/silent', {
      since: 'earliest',
      heartbeatTimeout: 2500,
      connectTimeout: 500,
      backoff: { min: 10, max: 20 },
    });
    sub.on('message', (m) => got.push(m.data));
  });
  await until('open', () => p.evaluate(() => sub.state === 'open'));
  proxy.mode = 'stall';
  await post('silent', 'after the stall');
  await until('not open', () => p.evaluate(() => sub.state !== 'open'));
  proxy.mode = 'pass';
  await until('the message', () => p.evaluate(() => got.length === 1));
});

test('after a 503, the client waits for as long as Retry-After says', async (t) => {
  const p = await page(t);
  await post('later', 'x');
  proxy.mode = 'refuse';
  proxy.requests.length = 0;
  const isRequested = () => proxy.requests.some((line) => line.includes('/c/later'));
  const refused = until('the first request', isRequested).then(() => (proxy.mode = 'pass'));
  const waited = await p.evaluate(async () => {
    const start = performance.now();
    const options = { transports: ['fetch'], since: 'earliest', backoff: { min: 1, max: 1 } };
    for await (const _ of subscribe('/c/later', options)) return performance.now() - start;
  });
  await refused;
  assert.ok(waited >= 990, `came after ${waited} ms though Retry-After said 1 s`);
});

test('every transport reports a gap', async (t) => {
  const small = await startServer('--retain-messages', '3');
  t.after(() => small.stop());
  const p = await page(t, small.base);
  for (const transport of TRANSPORTS) {
    const channel = `gap-${transport}`;
    let first;
    for (let i = 0; i < 10; i++) {
      const answer = await fetch(`${small.base}/c/${channel}`, { method: 'POST', body: String(i) });
      first ??= (await answer.json()).cursor;
    }
    const received = await p.evaluate(
      ([channel, transport, since]) =>
        new Promise((resolve) => {
          const received = [];
          const sub = subscribe(`/c/${channel}`, {
            transports: [transport],
            since,
            pollInterval: 50,
            backoff: { min: 10, max: 20 },
          });
          sub
            .on('gap', (gap) => received.push(`missed ${gap.missed}`))
            .on('message', (m) => {
              received.push(m.data);
              if (m.data === '9') resolve(received);
            });
        }),
      [channel, transport, first],
    );
    assert.deepEqual(received, ['missed 6', '7', '8', '9'], transport);
  }
});

test('tabs share one connection, and another tab takes over', async (t) => {
  proxy.mode = 'pass';
  const context = await browser.newContext();
  t.after(() => context.close());
  const tabs = [];
  for (let i = 0; i < 3; i++) {
    const tab = await context.newPage();
    await tab.goto(`${proxy.base}/tidewire.js`);
    await tab.evaluate(async () => {
      const { subscribe } = await import('/tidewire.js');
      globalThis.got = [];
      globalThis.sub = subscribe('/c/tabs', { shared: true, since: 'earliest' }).on('message', (m) =>
        got.push(m.data),
      );
    });
    tabs.push(tab);
    await until('open', () => tab.evaluate(() => sub.state === 'open'));
  }
  await post('tabs', 'one');
  for (const tab of tabs) await until('one', () => tab.evaluate(() => got.join() === 'one'));
  const late = await context.newPage();
  await late.goto(`${proxy.base}/tidewire.js`);
  await late.evaluate(async () => {
    const { subscribe } = await import('/tidewire.js');
    globalThis.got = [];
    subscribe('/c/tabs', { shared: true, since: 'earliest' }).on('message', (m) => got.push(m.data));
  });
  await until('what a late tab missed', () => late.evaluate(() => got.join() === 'one'));
  tabs.push(late);
  await tabs[0].close();
  await post('tabs', 'two');
  for (const tab of tabs.slice(1)) await until('two', () => tab.evaluate(() => got.join() === 'one,two'));
});

test('a native EventSource resumes by itself', async (t) => {
  const p = await page(t);
  await post('native', 'one\ntwo');
  await p.evaluate(() => {
    globalThis.got = [];
    globalThis.source = new EventSource('/c/native?feed=sse&since=earliest');
    source.onmessage = (e) => got.push(e.data);
  });
  await until('the first', () => p.evaluate(() => got.length === 1));
  proxy.cut();
  await post('native', 'three');
  await until('the one after the cut', () => p.evaluate(() => got.length === 2));
  assert.deepEqual(await p.evaluate(() => got), ['one\ntwo', 'three']);
  await p.evaluate(() => source.close());
});

test('a page of another origin can neither read, nor publish, nor open a WebSocket', async (t) => {
  const other = await startServer();
  t.after(() => other.stop());
  const p = await page(t);
  const outcome = await p.evaluate(async (base) => {
    const read = await fetch(`${base}/c/x`).then(
      () => 'read',
      () => 'denied',
    );
    await fetch(`${base}/c/x`, { method: 'POST', body: 'forged' }).catch(() => {});
    const ws = await new Promise((resolve) => {
      const socket = new WebSocket(`${base.replace('http', 'ws')}/c/x`);
      socket.onopen = () => resolve('open');
      socket.onerror = () => resolve('denied');
    });
    return [read, ws];
  }, other.base);
  assert.deepEqual(outcome, ['denied', 'denied']);
  const log = await (await fetch(`${other.base}/c/x`)).json();
  assert.deepEqual(log.messages, [], 'nothing was published');
});
