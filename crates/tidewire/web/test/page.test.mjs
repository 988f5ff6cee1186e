// The client in a page: fallback, pages that are hidden or suspended, tabs that share a connection.
// Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { keepPicture, launch, openPage } from './browser.mjs';
import { test, until } from './deadline.mjs';
import { end, post as postTo, remove, startProxy, startServer } from './server.mjs';

const FAST = { since: 'earliest', backoff: { min: 10, max: 20 }, pollInterval: 50 };

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

const post = (channel, body, options) => postTo(server.base, channel, body, options);

/** A page with a subscription. Its messages are in `got`, and its states in `states`. */
async function subscribed(t, channel, options, context) {
  const p = await openPage(t, browser, `${proxy.base}/tidewire.js`, context);
  await listen(p, channel, options);
  return p;
}

const listen = (p, channel, options) =>
  p.evaluate(
    async ([channel, options]) => {
      const { subscribe } = await import('/tidewire.js');
      Object.assign(globalThis, { got: [], states: [], errors: [], gaps: [], ends: [] });
      globalThis.sub = subscribe(`/c/${channel}`, options);
      sub
        .on('state', (state) => states.push(state))
        .on('error', (e) => errors.push(e))
        .on('end', ({ cursor }) => ends.push(cursor))
        .on('gap', (gap) => gaps.push(gap));
      sub.on('message', (m) => got.push(m.data));
    },
    [channel, { ...FAST, ...options }],
  );

const mend = () => Object.assign(proxy, { mode: 'pass', broken: new Set() });
const opened = (p) => until('open', () => p.evaluate(() => sub.state === 'open'));
const has = (p, want) => until(`${want}`, () => p.evaluate((want) => got.join() === want, want));

test('broken transports are replaced in order, and the one that works is remembered', async (t) => {
  const order = [
    ['websocket', 'websocket'],
    ['sse', 'sse'],
    ['fetch', 'stream'],
    ['longpoll', 'longpoll'],
    ['poll', 'poll'],
  ];
  for (let n = 0; n < order.length; n++) {
    mend();
    proxy.broken = new Set(order.slice(0, n).map(([, kind]) => kind));
    const [expected] = order[n];
    await post(`turn-${expected}`, 'x');
    const p = await subscribed(t, `turn-${expected}`, {});
    await has(p, 'x');
    assert.equal(await p.evaluate(() => sub.transport), expected);
    // After a reload, only this one is tried.
    mend();
    proxy.requests.length = 0;
    await p.reload();
    await listen(p, `turn-${expected}`, {});
    await has(p, 'x');
    assert.equal(await p.evaluate(() => sub.transport), expected);
    const asked = proxy.requests.filter((line) => line.includes('/c/'));
    assert.ok(
      asked.every((line) => line.includes(`feed=${order[n][1]}`) || expected === 'websocket'),
      asked.join('\n'),
    );
    await p.close();
  }
});

test('a WebSocket that never opens is replaced too', async (t) => {
  mend();
  await post('never', 'x');
  const p = await openPage(t, browser, `${proxy.base}/tidewire.js`);
  await p.evaluate(() => {
    // As behind a firewall that drops the handshake.
    globalThis.WebSocket = class {
      close() {}
    };
  });
  proxy.requests.length = 0;
  await listen(p, 'never', { connectTimeout: 200 });
  await has(p, 'x');
  // SSE is tried next, after a poll from `now`, which checks whether the server answers. On a busy
  // machine it may be late too, so it may not be the final one.
  assert.match(
    proxy.requests.find((line) => /^GET .*feed=/.test(line) && !line.includes('since=now')),
    /feed=sse/,
  );
});

test('after a status that closes an EventSource, a new one resumes at the cursor', async (t) => {
  mend();
  await post('dead', 'one');
  const p = await subscribed(t, 'dead', { transports: ['sse'] });
  await has(p, 'one');
  proxy.mode = 'refuse';
  proxy.cut();
  await until('refused', () => p.evaluate(() => errors.length > 0));
  await post('dead', 'two');
  mend();
  await has(p, 'one,two');
});

test('a better transport takes over during a subscription', async (t) => {
  mend();
  proxy.broken = new Set(['websocket', 'sse']);
  await post('better', '0');
  const p = await subscribed(t, 'better', { tryBetter: 200 });
  await has(p, '0');
  assert.equal(await p.evaluate(() => sub.transport), 'fetch');
  const before = await p.evaluate(() => states.length);
  mend();
  let n = 0;
  await until('the best', async () => {
    await post('better', String(++n));
    return (await p.evaluate(() => sub.transport)) === 'websocket';
  });
  await post('better', String(++n));
  await has(p, Array.from({ length: n + 1 }, (_, i) => i).join());
  assert.equal(await p.evaluate(() => states.length), before, 'no change of state');
});

test('a page that is shown again, or whose network is back, connects at once', async (t) => {
  // The wait is hours long, so only the event can cause the connection.
  for (const wake of ['online', 'pageshow', 'visibilitychange']) {
    mend();
    await post(`wake-${wake}`, 'one');
    const p = await subscribed(t, `wake-${wake}`, { transports: ['fetch'] });
    await has(p, 'one');
    await p.evaluate(() => sub.close());
    proxy.mode = 'down';
    await listen(p, `wake-${wake}`, { transports: ['fetch'], backoff: { min: 1e9, max: 1e9 } }).catch(
      () => {},
    );
    await until('it waits', () => p.evaluate(() => sub.state === 'waiting'));
    mend();
    await p.evaluate(
      (wake) => (wake === 'visibilitychange' ? document : window).dispatchEvent(new Event(wake)),
      wake,
    );
    await has(p, 'one');
    await p.close();
  }
});

test('going offline and online again loses nothing', async (t) => {
  mend();
  await post('offline', 'one');
  const p = await subscribed(t, 'offline', { backoff: { min: 1e9, max: 1e9 }, transports: ['fetch'] });
  await has(p, 'one');
  await p.context().setOffline(true);
  proxy.cut();
  await until('it waits', () => p.evaluate(() => sub.state === 'waiting'));
  await post('offline', 'two');
  await p.context().setOffline(false);
  await has(p, 'one,two');
});

test('a page in the back-forward cache has no connection, and resumes later', async (t) => {
  for (const transport of ['websocket', 'sse', 'fetch', 'longpoll']) {
    mend();
    await post(`away-${transport}`, 'one');
    const p = await subscribed(t, `away-${transport}`, { transports: [transport] });
    await has(p, 'one');
    await p.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })));
    await until('it let go', () => p.evaluate(() => sub.state === 'waiting'));
    const isStream = ['sse', 'fetch'].includes(transport);
    const held = () => [...proxy.sockets].some(({ request }) => request?.includes(`/c/away-${transport}?`));
    if (isStream) await until('the connection is closed', () => !held());
    await post(`away-${transport}`, 'two');
    await p.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
    await has(p, 'one,two');
    await p.close();
  }
});

/** Makes the page believe that it is hidden or shown. */
const show = (p, shown) =>
  p.evaluate((shown) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => !shown });
    document.dispatchEvent(new Event('visibilitychange'));
  }, shown);

test('with pauseWhenHidden, a hidden page has no connection', async (t) => {
  mend();
  await post('hidden', 'one');
  const p = await subscribed(t, 'hidden', { pauseWhenHidden: true });
  await has(p, 'one');
  await show(p, false);
  await until('it waits', () => p.evaluate(() => sub.state === 'waiting'));
  proxy.requests.length = 0;
  await post('hidden', 'two');
  await show(p, true);
  await has(p, 'one,two');
  assert.equal(
    proxy.requests.filter((line) => line.includes('/c/hidden')).length,
    1,
    'no request while the page was hidden',
  );
});

/** Tabs of one browser that share a connection. The first one leads. */
async function tabs(t, n, channel, options) {
  mend();
  const context = await browser.newContext();
  t.after(() => context.close());
  const tabs = [];
  for (let i = 0; i < n; i++) {
    tabs.push(await subscribed(t, channel, { shared: true, ...options }, context));
    await opened(tabs[i]);
  }
  return tabs;
}
const all = (tabs, want) => Promise.all(tabs.map((tab) => has(tab, want)));

test('when the leading tab closes, another tab takes over without loss', async (t) => {
  // With `now`, the other tabs have received no message yet, but know their position.
  const [first, ...others] = await tabs(t, 3, 'lead', { since: 'now' });
  await Promise.all([first.close(), post('lead', 'between')]);
  await all(others, 'between');
  await post('lead', 'after');
  await all(others, 'between,after');
  await keepPicture(others[0], 'tabs that share');
});

test('when the leading tab crashes, another tab takes over', async (t) => {
  const [first, ...others] = await tabs(t, 3, 'crash', {});
  await post('crash', 'one');
  await all([first, ...others], 'one');
  const cdp = await first.context().newCDPSession(first);
  const crashed = new Promise((resolve) => first.once('crash', resolve));
  cdp.send('Page.crash').catch(() => {});
  await crashed;
  await post('crash', 'two');
  await all(others, 'one,two');
});

test('when the leading tab is hidden, another tab takes over', async (t) => {
  const [first, second] = await tabs(t, 2, 'hide', { pauseWhenHidden: true });
  await post('hide', 'one');
  await all([first, second], 'one');
  await show(first, false);
  await post('hide', 'two');
  await all([first, second], 'one,two');
  // All tabs are hidden, so there is no connection.
  await show(second, false);
  await until('all wait', () => second.evaluate(() => sub.state === 'waiting'));
  await post('hide', 'three');
  await show(first, true);
  await all([first], 'one,two,three');
  await show(second, true);
  await all([second], 'one,two,three');
});

test('a suspended tab first reads the messages that it missed', async (t) => {
  const [first, second] = await tabs(t, 2, 'slept', {});
  await post('slept', 'one');
  await all([first, second], 'one');
  // The suspended tab loses the messages of the leading tab.
  await second.evaluate(() => {
    const own = Object.getOwnPropertyDescriptor(MessageEvent.prototype, 'data');
    globalThis.sleeping = true;
    Object.defineProperty(MessageEvent.prototype, 'data', {
      get() {
        const data = own.get.call(this);
        return sleeping && data?.object ? {} : data;
      },
    });
  });
  await post('slept', 'two');
  await all([first], 'one,two');
  await second.evaluate(() => (globalThis.sleeping = false));
  await post('slept', 'three');
  await all([first, second], 'one,two,three');
});

test('a tab that does not lead can publish, and gets gaps and states', async (t) => {
  const [first, second] = await tabs(t, 2, 'follow', {});
  const cursor = await second.evaluate(() => sub.publish('mine', { event: 'said' }));
  await all([first, second], 'mine');
  assert.equal(await second.evaluate(() => sub.cursor), cursor);
  proxy.mode = 'down';
  proxy.cut();
  const isWaiting = (tab) => tab.evaluate(() => states.includes('waiting'));
  await until('both wait', async () => (await isWaiting(first)) && (await isWaiting(second)));
  await post('follow', 'late');
  mend();
  await all([first, second], 'mine,late');
});

/** Reads the subscription of a tab in a loop, too. `over` says how it ends. */
const loop = (tab) =>
  tab.evaluate(() => {
    (async () => {
      try {
        for await (const _ of sub);
        globalThis.over = 'done';
      } catch (error) {
        globalThis.over = error.channel;
      }
    })();
  });

/** The requests for a channel, without the polls of a tab that was still catching up. */
const connections = (channel) =>
  proxy.requests.filter((line) => line.includes(`/c/${channel}?`) && !line.includes('feed=poll'));

test('tabs that share a connection all end with the channel, and none connects again', async (t) => {
  const shared = await tabs(t, 3, 'tabs/end', {});
  for (const tab of shared) await loop(tab);
  await post('tabs/end', 'one');
  await all(shared, 'one');
  proxy.requests.length = 0;
  const cursor = await end(server.base, 'tabs/end', 'two');
  for (const tab of shared) {
    await until('the end', () => tab.evaluate(() => globalThis.over === 'done'));
    const told = await tab.evaluate(() => [got, ends, sub.state, sub.cursor, errors]);
    assert.deepEqual(told, [['one', 'two'], [cursor], 'closed', cursor, []]);
  }
  const late = await subscribed(t, 'tabs/end', { shared: true }, shared[0].context());
  await until('closed', () => late.evaluate(() => sub.state === 'closed'));
  assert.deepEqual(await late.evaluate(() => [got, ends]), [['one', 'two'], [cursor]]);
  const asked = connections('tabs/end');
  assert.equal(asked.length, 1, `only the late tab connects: ${asked}`);
});

test('tabs that share a connection are all told that the channel was deleted', async (t) => {
  const shared = await tabs(t, 3, 'tabs/deleted', {});
  for (const tab of shared) await loop(tab);
  await post('tabs/deleted', 'one');
  await all(shared, 'one');
  proxy.requests.length = 0;
  await remove(server.base, 'tabs/deleted');
  for (const tab of shared) {
    await until('the deletion', () => tab.evaluate(() => globalThis.over === 'tabs/deleted'));
    assert.deepEqual(await tab.evaluate(() => [errors.length, sub.state]), [1, 'closed']);
  }
  assert.deepEqual(connections('tabs/deleted'), []);
});

test('tabs that share several channels by a name get each message once', async (t) => {
  const [first, second] = await tabs(t, 2, 'many-a,many-b', { shared: 'many' });
  for (let i = 0; i < 10; i++) {
    await post(i % 2 ? 'many-a' : 'many-b', String(i));
    if (i === 4) await first.close();
  }
  await until('all ten', () => second.evaluate(() => got.length >= 10));
  assert.deepEqual(
    (await second.evaluate(() => got)).sort(),
    Array.from({ length: 10 }, (_, i) => String(i)),
  );
});

test('the script for pages without modules has the same functions', async (t) => {
  mend();
  const p = await openPage(t, browser, `${proxy.base}/tidewire.js`);
  await p.addScriptTag({ url: '/tidewire.script.js' });
  const data = await p.evaluate(async () => {
    await tidewire.publish('/c/script', 'hello');
    for await (const message of tidewire.subscribe('/c/script', { since: 'earliest' })) return message.data;
  });
  assert.equal(data, 'hello');
});

test('over plain HTTP, without crypto.randomUUID, publish uses random keys', async (t) => {
  mend();
  // Over HTTP, only `localhost` is a secure context. This name is another origin.
  const other = await launch('--host-resolver-rules=MAP plain 127.0.0.1');
  t.after(() => other.close());
  const p = await openPage(t, other, `${proxy.base.replace('127.0.0.1', 'plain')}/tidewire.js`);
  assert.equal(await p.evaluate(() => isSecureContext || 'randomUUID' in crypto), false);
  proxy.heads.length = 0;
  const cursors = await p.evaluate(async () => {
    const { publish } = await import('/tidewire.js');
    return [await publish('/c/plain', 'same'), await publish('/c/plain', 'same')];
  });
  assert.notEqual(cursors[0], cursors[1], 'two calls are two messages');
  const keys = proxy.heads
    .map((head) => /\nidempotency-key: (.+)\r?/i.exec(head)?.[1].trim())
    .filter(Boolean);
  assert.equal(new Set(keys).size, 2);
  for (const key of keys) assert.match(key, /^\d+(-\d+){3}$/);
});
