// The guarantees of the client: delivery, cursor, options. In Node, which has fetch; the tests use
// their own transports for the rest.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before } from 'node:test';
import { publish, subscribe, subscribeWith } from '../dist/tidewire.js';
import { test, until } from './deadline.mjs';
import { post, startServer } from './server.mjs';

const HTTP = ['fetch', 'longpoll', 'poll'];
const FAST = { backoff: { min: 1, max: 5 }, pollInterval: 20 };

let server;
before(async () => (server = await startServer('--heartbeat', '1')));
after(() => server?.stop());

/** A transport that delivers what the test gives it. */
function hand() {
  const transport = {
    name: 'hand',
    links: [],
    run(link) {
      transport.links.push(link);
      link.object({
        type: 'hello',
        cursor: link.cursor === 'now' || link.cursor === 'earliest' ? 'e-0' : link.cursor,
      });
      return new Promise(() => {});
    },
    message: (n, more) =>
      transport.links.at(-1).object({ type: 'message', cursor: `e-${n}`, time: 0, data: String(n), ...more }),
  };
  return transport;
}

/** A subscription with only the transport `hand`. */
async function byHand(t, options = {}) {
  const way = hand();
  const sub = subscribeWith('http://example.invalid/c/x', { transports: [way], ...FAST, ...options });
  t.after(() => sub.close());
  return { way, sub };
}

const connected = (way) => until('connected', () => way.links.length > 0);

function capture(t) {
  const logged = [];
  const { error, warn } = console;
  t.after(() => Object.assign(console, { error, warn }));
  Object.assign(console, { error: (...what) => logged.push(what), warn: (...what) => logged.push(what) });
  return logged;
}

test('the cursor of an iterator is after the last message that it took', async (t) => {
  const { way, sub } = await byHand(t);
  const iterator = sub[Symbol.asyncIterator]();
  await connected(way);
  for (let n = 1; n <= 5; n++) way.message(n);
  assert.equal(sub.cursor, 'e-0', 'nothing is taken yet');
  assert.equal((await iterator.next()).value.data, '1');
  assert.equal(sub.cursor, 'e-1');
  await iterator.next();
  assert.equal(sub.cursor, 'e-2');
  await iterator.return();
  assert.equal(sub.state, 'closed');
  assert.equal(sub.cursor, 'e-2', 'a new subscription from here gets the third');
});

test('after leaving a loop, a new subscription at its cursor loses and repeats nothing', async () => {
  const url = `${server.base}/c/leave`;
  for (let i = 0; i < 50; i++) await post(server.base, 'leave', String(i));
  for (const transport of HTTP) {
    const got = [];
    for (let since = 'earliest'; got.length < 50; ) {
      const sub = subscribe(url, { transports: [transport], since, ...FAST });
      let n = 0;
      for await (const message of sub) {
        got.push(message.data);
        if (++n === 7 || got.length === 50) break;
      }
      since = sub.cursor;
    }
    assert.deepEqual(
      got,
      Array.from({ length: 50 }, (_, i) => String(i)),
      transport,
    );
  }
});

test('each of two iterators gets every message, and the end of one does not end the other', async (t) => {
  const { way, sub } = await byHand(t);
  const [one, two] = [sub[Symbol.asyncIterator](), sub[Symbol.asyncIterator]()];
  await connected(way);
  way.message(1);
  way.message(2);
  assert.equal((await one.next()).value.data, '1');
  assert.equal((await one.next()).value.data, '2');
  assert.equal(sub.cursor, 'e-0', 'the other has taken nothing');
  assert.equal((await two.next()).value.data, '1');
  assert.equal(sub.cursor, 'e-1');
  await one.return();
  assert.equal(sub.state, 'open');
  assert.deepEqual(await one.next(), { value: undefined, done: true });
  assert.equal((await two.next()).value.data, '2');
  await two.return();
  assert.equal(sub.state, 'closed');
});

test('next may be called several times ahead, and the loop be left meanwhile', async (t) => {
  const { way, sub } = await byHand(t);
  const iterator = sub[Symbol.asyncIterator]();
  const asked = [iterator.next(), iterator.next(), iterator.next()];
  await connected(way);
  way.message(1);
  way.message(2);
  assert.deepEqual([(await asked[0]).value.data, (await asked[1]).value.data], ['1', '2']);
  assert.equal(sub.cursor, 'e-2');
  await iterator.return();
  assert.equal((await asked[2]).done, true, 'the third call does not wait for ever');
});

test('an exception of a listener is reported, and other listeners miss nothing', async (t) => {
  const { way, sub } = await byHand(t);
  const logged = capture(t);
  const got = [];
  sub.on('message', () => {
    throw new Error('mine');
  });
  sub.on('message', (m) => got.push(m.data));
  await connected(way);
  way.message(1);
  way.message(2);
  assert.deepEqual(got, ['1', '2']);
  assert.equal(sub.cursor, 'e-2');
  assert.equal(logged[0][0].message, 'mine');
});

test('without listeners, no message is delivered and none is lost', async (t) => {
  const { way, sub } = await byHand(t);
  const got = [];
  const listener = (m) => got.push(m.data);
  sub.on('message', listener);
  await connected(way);
  way.message(1);
  sub.off('message', listener);
  way.message(2);
  await until('let go', () => way.links[0].signal.aborted && sub.state === 'waiting');
  assert.equal(sub.cursor, 'e-1');
  sub.on('message', listener);
  await until('connected again', () => way.links.length === 2);
  assert.equal(way.links[1].cursor, 'e-1');
  way.message(2);
  assert.deepEqual(got, ['1', '2']);
});

test('an exception of parse is an error with a cursor, and the next message is delivered', async (t) => {
  const { way, sub } = await byHand(t, { parse: JSON.parse });
  const [got, failures] = [[], []];
  sub.on('message', (m) => got.push(m.data)).on('error', (failure) => failures.push(failure));
  await connected(way);
  way.message(1, { data: '{"a":1}' });
  way.message(2, { data: '{' });
  way.message(3, { data: 'null' });
  assert.deepEqual(got, [{ a: 1 }, null]);
  assert.equal(failures.length, 1);
  assert.equal(failures[0].cursor, 'e-2');
  assert.match(failures[0].detail, /SyntaxError/);
  assert.equal(sub.cursor, 'e-3');
});

test('repeated messages are dropped by their cursors, also with several channels', async (t) => {
  const { way, sub } = await byHand(t);
  const got = [];
  sub.on('message', (m) => got.push(`${m.channel}${m.data}`));
  await connected(way);
  const say = (cursor, channel, data) =>
    way.links[0].object({ type: 'message', cursor, channel, time: 0, data });
  say('e-1.f-0', 'a', '1');
  say('e-1.f-1', 'b', '1');
  say('e-1.f-1', 'b', '1');
  // Another transport, which is ahead in one log and behind in the other.
  say('e-0.f-2', 'b', '2');
  say('e-1.f-2', 'a', '1');
  say('e-2.f-2', 'a', '2');
  assert.deepEqual(got, ['a1', 'b1', 'b2', 'a2']);
  assert.equal(sub.cursor, 'e-2.f-2');
});

test('a gap is an event, or a warning if there is no listener', async (t) => {
  const { way, sub } = await byHand(t);
  const logged = capture(t);
  sub.on('message', () => {});
  await connected(way);
  way.links[0].object({ type: 'gap', from: 'e-0', cursor: 'e-7', missed: 7 });
  assert.equal(logged.length, 1);
  assert.equal(sub.cursor, 'e-7');
  const gaps = [];
  sub.on('gap', (gap) => gaps.push(gap));
  way.links[0].object({ type: 'reset', reason: 'unknown-epoch', cursor: 'f-0' });
  assert.deepEqual(gaps, [{ reason: 'unknown-epoch', missed: undefined, cursor: 'f-0' }]);
  assert.equal(sub.cursor, 'f-0', 'a reset may move the cursor back');
  assert.equal(logged.length, 1);
});

test('after a restart of the server, every transport reports a reset', async (t) => {
  let second = await startServer();
  t.after(() => second.stop());
  const { port } = new URL(second.base);
  const subs = HTTP.map((transport) =>
    subscribe(`${second.base}/c/reset`, { transports: [transport], since: 'earliest', ...FAST }),
  );
  t.after(() => subs.forEach((sub) => sub.close()));
  const received = subs.map((sub) => {
    const received = [];
    sub.on('gap', ({ reason }) => received.push(reason)).on('message', (m) => received.push(m.data));
    return received;
  });
  await post(second.base, 'reset', 'before');
  await until('the first', () => received.every((one) => one.length === 1));
  second.stop();
  await until('cut', () => subs.every((sub) => sub.state !== 'open'));
  second = await startServer('--listen', `127.0.0.1:${port}`);
  await post(second.base, 'reset', 'after');
  await until('the second', () => received.every((one) => one.at(-1) === 'after'));
  for (const one of received) assert.deepEqual(one, ['before', 'unknown-epoch', 'after']);
});

test('a storage keeps the cursor, takes precedence over since, and may fail', async (t) => {
  const logged = capture(t);
  let stored = 'e-41';
  const storage = { get: () => stored, set: (cursor) => (stored = cursor) };
  const first = await byHand(t, { storage, since: 'earliest' });
  assert.equal(first.sub.cursor, 'e-41');
  const iterator = first.sub[Symbol.asyncIterator]();
  await connected(first.way);
  first.way.message(42);
  assert.equal(stored, 'e-41', 'the cursor of a message that was not taken is not stored');
  await iterator.next();
  assert.equal(stored, 'e-42');
  const broken = () => {
    throw new Error('full');
  };
  const second = await byHand(t, { storage: { get: broken, set: broken }, since: 'e-1' });
  const got = [];
  second.sub.on('message', (m) => got.push(m.data));
  await connected(second.way);
  second.way.message(2);
  assert.deepEqual([got, second.sub.cursor], [['2'], 'e-2']);
  assert.ok(logged.every(([error]) => error.message === 'full'));
});

test('a message has no media type unless one is set', async () => {
  const url = `${server.base}/c/publish`;
  const sub = subscribe(url, { transports: ['fetch'] });
  await sub.publish('plain');
  await sub.publish('{"a":1}', { contentType: 'application/json', event: 'named' });
  await sub.publish(new Blob(['blob'], { type: 'text/csv' }));
  await sub.publish(new Uint8Array([0, 255, 128]));
  const first = await publish(url, 'once', { key: 'the-key' });
  assert.equal(await publish(url, 'once', { key: 'the-key' }), first, 'the same key appends nothing');
  sub.close();
  const { messages } = await (await fetch(url)).json();
  assert.deepEqual(
    messages.map(({ data, data_b64, event, content_type }) => [data ?? data_b64, event, content_type]),
    [
      ['plain', undefined, undefined],
      ['{"a":1}', 'named', 'application/json'],
      ['blob', undefined, 'text/csv'],
      ['AP+A', undefined, undefined],
      ['once', undefined, undefined],
    ],
  );
  for (const transport of HTTP) {
    const got = [];
    for await (const { data } of subscribe(url, { transports: [transport], since: 'earliest', ...FAST }))
      if (got.push(data) === 4) break;
    assert.deepEqual(got[3], new Uint8Array([0, 255, 128]), transport);
  }
});

test('a refused publish rejects with the status and the explanation of the server', async () => {
  await assert.rejects(publish(`${server.base}/c/a,b`, 'x'), (error) => {
    assert.equal(error.status, 400);
    assert.match(error.message, /one channel/);
    return true;
  });
  await assert.rejects(publish('http://127.0.0.1:9/c/x', 'no server listens there'), TypeError);
});

test('several channels use one connection and one cursor', async () => {
  for (const channel of ['m1', 'm2'])
    for (let i = 0; i < 5; i++) await post(server.base, channel, `${channel}-${i}`);
  for (const transport of HTTP) {
    const got = [];
    for (let since = 'earliest'; got.length < 10; ) {
      const sub = subscribe(`${server.base}/c/m1,m2`, { transports: [transport], since, ...FAST });
      for await (const { channel, data } of sub) {
        got.push(data);
        assert.equal(data.split('-')[0], channel);
        if (got.length % 3 === 0 || got.length === 10) break;
      }
      since = sub.cursor;
    }
    assert.equal(new Set(got).size, 10, transport);
  }
});

test('after close, nothing throws and nothing is delivered', async (t) => {
  const { way, sub } = await byHand(t);
  const got = [];
  sub.on('message', (m) => {
    got.push(m.data);
    sub.close();
  });
  const states = [];
  sub.on('state', (state) => states.push(state));
  const iterator = sub[Symbol.asyncIterator]();
  await connected(way);
  way.message(1);
  way.message(2);
  way.links[0].alive();
  way.links[0].line('{"type":"message","cursor":"e-3","data":"3"}');
  way.links[0].line('not JSON');
  sub.close();
  sub.on('message', () => got.push('again'));
  sub.off('message', () => {});
  assert.deepEqual(got, ['1']);
  assert.equal(states.at(-1), 'closed');
  assert.deepEqual(await iterator.next(), { value: undefined, done: true });
  assert.deepEqual(await iterator.return(), { value: undefined, done: true });
  for await (const _ of sub) assert.fail('a closed subscription has no messages');
  assert.equal(
    await subscribe(`${server.base}/c/closed`)
      .publish('x')
      .then(() => 'published'),
    'published',
  );
});

test('close in any state leaves no timer and no connection', async () => {
  // The process ends by itself when no timer and no connection is left.
  const program = `
    import { subscribe } from ${JSON.stringify(new URL('../dist/tidewire.js', import.meta.url).href)};
    const base = ${JSON.stringify(server.base)};
    const after = (ms, sub) => setTimeout(() => sub.close(), ms);
    after(0, subscribe(base + '/c/end').on('message', () => {}));
    for (const transport of ['fetch', 'longpoll', 'poll']) {
      const options = { transports: [transport], shared: true };
      after(300, subscribe(base + '/c/end', options).on('message', () => {}));
    }
    after(100, subscribe(() => new Promise(() => {}), { transports: ['fetch'] }).on('message', () => {}));
    const long = { transports: ['fetch'], backoff: { min: 60000, max: 60000 } };
    after(100, subscribe('http://127.0.0.1:9/c/x', long).on('message', () => {}));
    const controller = new AbortController();
    subscribe(base + '/c/end', { transports: ['fetch'], signal: controller.signal }).on('message', () => {});
    setTimeout(() => controller.abort(), 200);
    subscribe(base + '/c/end', { signal: AbortSignal.abort() }).on('message', () => {});
    process.on('exit', () => console.log('ended'));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  let out = '';
  for await (const text of child.stdout) out += text;
  clearTimeout(timer);
  assert.equal(out, 'ended\n');
});

test('impossible options throw at once', () => {
  assert.throws(() => subscribe('http://x/c/x', { transports: ['websockets'] }), TypeError);
  assert.throws(() => subscribe('http://x/c/x', { transports: [] }), TypeError);
  assert.throws(
    () => subscribe('http://x/c/x', { transports: ['websocket', 'sse'], headers: () => ({}) }),
    TypeError,
  );
  assert.throws(
    () => subscribe('http://x/c/x', { transports: ['websocket'], credentials: 'omit' }),
    TypeError,
  );
  assert.throws(() => subscribe(() => 'http://x/c/x', { shared: true }), TypeError);
  assert.throws(() => subscribe('not a URL'), TypeError);
});
