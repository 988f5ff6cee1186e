// The client with failing networks, proxies, tokens and servers. In Node, without a browser.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { publish, subscribe, subscribeWith } from '../dist/tidewire.js';
import { JSON_TYPE, answering, normally, waits } from './answering.mjs';
import { test, until } from './deadline.mjs';
import { post, startProxy, startServer } from './server.mjs';

const HTTP = ['fetch', 'longpoll', 'poll'];
const FAST = { backoff: { min: 1, max: 5 }, pollInterval: 20 };

let server, proxy;
before(async () => {
  server = await startServer('--heartbeat', '1');
  proxy = await startProxy(server.base);
});
after(() => {
  proxy?.stop();
  server?.stop();
});

function listen(t, url, options) {
  Object.assign(proxy, { mode: 'pass', broken: new Set(), requests: [] });
  const sub = subscribe(url, { since: 'earliest', ...FAST, ...options });
  t.after(() => sub.close());
  const got = [];
  const errors = [];
  sub.on('message', (m) => got.push(m.data)).on('error', (failure) => errors.push(failure));
  return { sub, got, errors };
}

test('a failing function for URL or headers is called again, and no transport is blamed', async (t) => {
  await post(server.base, 'token', 'x');
  for (const where of ['url', 'headers']) {
    let asked = 0;
    const failing = (value) => async () => {
      if (++asked < 8) throw new Error('no token today');
      return value;
    };
    const url = `${proxy.base}/c/token`;
    const options = {
      transports: HTTP,
      ...(where === 'headers' ? { headers: failing({ Authorization: 'Bearer x' }) } : {}),
    };
    const { sub, got, errors } = listen(t, where === 'url' ? failing(url) : url, options);
    await until('the message', () => got.length === 1);
    assert.equal(asked, 8, where);
    assert.equal(sub.transport, 'fetch', 'the first transport was never tried, so it stays');
    assert.equal(errors.length, 7);
    assert.equal(errors[0].detail, 'no token today');
    sub.close();
  }
});

test('a function for the URL that hangs is called again', async (t) => {
  const used = [];
  const where = () => (used.push(sub.transport) < 4 ? new Promise(() => {}) : `${server.base}/c/token`);
  const { sub, got } = listen(t, where, { transports: HTTP, connectTimeout: 100 });
  await until('the message', () => got.length === 1);
  // After the fourth call, a busy machine may be slow, so later transports do not matter.
  assert.deepEqual(used.slice(0, 4), Array(4).fill('fetch'), 'no transport is blamed for it');
});

for (const transport of HTTP) {
  test(`${transport}: after a 401, headers are asked for again, and a second 401 is an error`, async (t) => {
    let [asked, good] = [0, 2];
    const url = await answering(t, (request, response) => {
      if (Number(request.headers.authorization) >= good) normally(request, response);
      else
        response
          .writeHead(401, { 'Content-Type': 'application/problem+json' })
          .end('{"detail":"The token is old."}');
    });
    const headers = async () => ({ authorization: String(++asked) });
    const first = listen(t, url, { transports: [transport], headers });
    await until('the message', () => first.got.length === 1);
    assert.equal(first.errors.length, 0, 'the second token was good, so there was no error');
    first.sub.close();

    [asked, good] = [0, 4];
    const second = listen(t, url, { transports: [transport], headers });
    await until('the message', () => second.got.length === 1);
    assert.equal(second.errors.length, 1);
    assert.deepEqual(second.errors[0], { transport, status: 401, detail: 'The token is old.' });
    second.sub.close();

    [asked, good] = [0, 2];
    assert.equal(await publish(url, 'x', { headers }), 'e-1');
    [asked, good] = [0, 9];
    await assert.rejects(publish(url, 'x', { headers }), { status: 401 });
    assert.equal(asked, 2);
  });
}

for (const status of [429, 503]) {
  for (const form of ['seconds', 'date']) {
    test(`after a ${status}, the client waits as long as Retry-After says (${form})`, async (t) => {
      let refusedAt = 0;
      let requests = 0;
      const url = await answering(t, (request, response) => {
        requests++;
        if (refusedAt) return normally(request, response);
        refusedAt = Date.now();
        // A date has whole seconds, so this is three to four seconds ahead: enough on a busy
        // machine.
        const value = form === 'seconds' ? '1' : new Date(Date.now() + 4000).toUTCString();
        response.writeHead(status, { 'Retry-After': value }).end();
      });
      const { sub, got, errors } = listen(t, url, { transports: HTTP });
      await until('refused', () => errors.length);
      sub.off('message', () => {}).on('message', () => {}); // Waking the client does not shorten the wait.
      await until('the message', () => got.length === 1);
      assert.ok(Date.now() - refusedAt >= 950, `came after ${Date.now() - refusedAt} ms`);
      assert.equal(sub.transport, 'fetch', 'a busy server does not change the transport');
      assert.equal(requests, 2, 'no request in between');
    });
  }
}

test('after a 503 without Retry-After, the backoff applies and the transport stays', async (t) => {
  let requests = 0;
  const url = await answering(t, (request, response) =>
    ++requests < 20 ? response.writeHead(503).end() : normally(request, response),
  );
  const { sub, got } = listen(t, url, { transports: HTTP });
  await until('the message', () => got.length === 1);
  assert.equal(sub.transport, 'fetch');
});

test('shouldRetry can close the subscription or set the wait, and may throw', async (t) => {
  const url = await answering(t, (_, response) => response.writeHead(403).end('{"detail":"Not you."}'));
  const ended = listen(t, url, {
    transports: ['fetch'],
    shouldRetry: ({ status }, attempt) => status !== 403 || attempt < 3,
  });
  await until('closed', () => ended.sub.state === 'closed');
  assert.equal(ended.errors.length, 3);
  assert.equal(ended.errors[0].detail, 'Not you.');

  const attempts = [];
  const slow = listen(t, url, {
    transports: ['fetch'],
    backoff: { min: 1e7, max: 1e7 },
    shouldRetry: (_, attempt) => attempts.push(attempt) && 1,
  });
  await until('many attempts, though the backoff is hours', () => attempts.length >= 5);
  assert.deepEqual(attempts.slice(0, 3), [1, 2, 3]);
  slow.sub.close();

  const { error } = console;
  t.after(() => (console.error = error));
  console.error = () => {};
  const broken = listen(t, url, {
    transports: ['fetch'],
    shouldRetry: () => {
      throw new Error('mine');
    },
  });
  await until('it goes on', () => broken.errors.length >= 3);
});

test('the wait has full jitter: a random part of a time that doubles up to a bound', async (t) => {
  const { random } = Math;
  t.after(() => (Math.random = random));
  Math.random = () => 0.5;
  const broken = { name: 'broken', run: () => Promise.reject(new Error('no')) };
  let tries = 0;
  const asked = await waits(async () => {
    const sub = subscribeWith('http://127.0.0.1:9/c/x', {
      transports: [broken],
      backoff: { min: 4, max: 40 },
      connectTimeout: 54_321,
    });
    t.after(() => sub.close());
    sub.on('message', () => {}).on('error', () => tries++);
    await until('some attempts', () => tries >= 7);
    sub.close();
  });
  const naps = asked.filter((ms) => ms !== 54_321 && ms !== 25);
  assert.deepEqual(naps.slice(0, 6), [2, 4, 8, 16, 20, 20]);
});

test('only a connection that lasted for minUptime resets the backoff', async (t) => {
  const { random } = Math;
  t.after(() => (Math.random = random));
  Math.random = () => 1;
  for (const [minUptime, expected] of [
    [60_000, [2, 4, 8, 16]],
    [0, [2, 2, 2, 2]],
  ]) {
    const brief = {
      name: 'brief',
      async run(link) {
        link.alive();
        await undefined;
      },
    };
    let opened = 0;
    const asked = await waits(async () => {
      const sub = subscribeWith('http://example.invalid/', {
        transports: [brief],
        minUptime,
        backoff: { min: 2, max: 1000 },
        heartbeatTimeout: 54_321,
        connectTimeout: 54_321,
        tryBetter: 54_321,
      });
      sub.on('message', () => {}).on('state', (state) => (opened += state === 'open'));
      await until('some connections', () => opened >= 5);
      sub.close();
    });
    assert.deepEqual(asked.filter((ms) => ms !== 54_321 && ms !== 25).slice(0, 4), expected);
  }
});

test('if the server is down, the transport stays the same', async (t) => {
  await post(server.base, 'down', 'one');
  const { sub, got, errors } = listen(t, `${proxy.base}/c/down`, { transports: HTTP });
  await until('open', () => got.length === 1 && sub.transport === 'fetch');
  proxy.mode = 'down';
  proxy.cut();
  await until('many failures', () => errors.length > 12);
  proxy.mode = 'pass';
  await post(server.base, 'down', 'two');
  await until('back', () => got.length === 2);
  assert.equal(sub.transport, 'fetch');
});

test('a broken transport is replaced by the next, and the last by the first', async (t) => {
  for (const [broken, expected] of [
    [[], 'fetch'],
    [['stream'], 'longpoll'],
    [['stream', 'longpoll'], 'poll'],
  ]) {
    const channel = `turn-${expected}`;
    await post(server.base, channel, 'x');
    const { sub, got } = listen(t, `${proxy.base}/c/${channel}`, { transports: HTTP });
    proxy.broken = new Set(broken);
    await until(expected, () => got.length === 1);
    assert.equal(sub.transport, expected);
    sub.close();
  }
  // At first all are refused. Then one works.
  const { sub, got, errors } = listen(t, `${proxy.base}/c/turn-poll`, { transports: HTTP });
  proxy.broken = new Set(['stream', 'longpoll', 'poll']);
  await until('all refused', () => errors.length > 6);
  proxy.broken = new Set(['stream', 'poll']);
  await until('the one that works', () => got.length === 1 && sub.transport === 'longpoll');
});

test('a better transport is tried while another is in use, and takes over without loss', async (t) => {
  const { sub, got, errors } = listen(t, `${proxy.base}/c/better`, { transports: HTTP, tryBetter: 100 });
  proxy.broken = new Set(['stream']);
  const states = [];
  await until('long polling', () => sub.transport === 'longpoll' && sub.state === 'open');
  const before = errors.length;
  sub.on('state', (state) => states.push(state));
  const seen = proxy.requests.length;
  const want = [];
  let n = 0;
  const say = async () => want.push(String(n)) && post(server.base, 'better', String(n++));
  await until('tried in vain', async () => {
    await say();
    return proxy.requests.slice(seen).filter((line) => line.includes('feed=stream')).length >= 3;
  });
  assert.equal(sub.transport, 'longpoll');
  proxy.broken = new Set();
  await until('the better one', async () => {
    await say();
    return sub.transport === 'fetch';
  });
  await say();
  await until('everything', () => got.length >= want.length);
  assert.deepEqual(got, want);
  assert.deepEqual(states, [], 'no change of state');
  assert.equal(errors.length, before);
});

test('a stream behind a buffering proxy is replaced by another transport', async (t) => {
  await post(server.base, 'buffered', 'x');
  const { sub, got, errors } = listen(t, `${proxy.base}/c/buffered`, {
    transports: HTTP,
    connectTimeout: 300,
  });
  proxy.mode = 'buffer';
  await until('the message', () => got.length === 1);
  assert.deepEqual(errors[0], { transport: 'fetch', status: undefined, detail: 'silent for 300 ms' });
  // On a busy machine, a long poll may be late too. Then there is an error.
  assert.ok(
    sub.transport === 'longpoll' || errors.some(({ transport }) => transport === 'longpoll'),
    sub.transport,
  );
});

test('the page of a captive portal is not taken for a channel', async (t) => {
  let hotel = true;
  const url = await answering(t, (request, response) =>
    hotel
      ? response.setHeader('Content-Type', 'text/html').end('<p>Welcome to our Wi-Fi!')
      : normally(request, response),
  );
  const { got, errors } = listen(t, url, { transports: HTTP });
  await until('some tries', () => errors.length > 4);
  hotel = false;
  await until('the message', () => got.length === 1);
});

test('a long poll ends before the heartbeat time-out', async (t) => {
  const { sub, errors } = listen(t, `${proxy.base}/c/quiet`, {
    transports: ['longpoll'],
    heartbeatTimeout: 4000,
  });
  // Their wait is half of the time-out. The other half is a reserve for a busy machine.
  await until('some quiet polls', () => proxy.requests.filter((line) => line.includes('wait=2')).length > 1);
  assert.deepEqual(errors, []);
  assert.equal(sub.state, 'open');
});

test('a long poll interval does not count as silence', async (t) => {
  const { sub, errors } = listen(t, `${proxy.base}/c/quiet`, {
    transports: ['poll'],
    heartbeatTimeout: 1500,
    pollInterval: 2000,
  });
  await until('some polls', () => proxy.requests.length > 2);
  assert.deepEqual(errors, []);
  assert.equal(sub.state, 'open');
});

/** A random generator with a seed, so that a failure can be repeated. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

for (const seed of [1, 2, 3]) {
  test(`with random failures (seed ${seed}), no message is lost, repeated or reordered`, async (t) => {
    const channel = `day-${seed}`;
    const options = { transports: HTTP, connectTimeout: 250, heartbeatTimeout: 1500, tryBetter: 300 };
    const { sub, got } = listen(t, `${proxy.base}/c/${channel}`, options);
    // A second reader leaves its loop from time to time and subscribes again at its cursor.
    const looped = [];
    let stop = false;
    const loops = (async () => {
      for (let since = 'earliest'; !stop; ) {
        const mine = subscribe(`${proxy.base}/c/${channel}`, { since, ...FAST, ...options });
        t.after(() => mine.close());
        let left = 10;
        for await (const { data } of mine) if (looped.push(data) >= 150 || !--left) break;
        since = mine.cursor;
        if (looped.length >= 150) return;
      }
    })();
    const chance = random(seed);
    const modes = ['pass', 'pass', 'pass', 'buffer', 'stall', 'refuse', 'down'];
    for (let n = 0; n < 150; n++) {
      await post(server.base, channel, String(n));
      if (chance() < 0.15) proxy.mode = modes[Math.floor(chance() * modes.length)];
      if (chance() < 0.1) proxy.broken = new Set(['stream', 'longpoll', 'poll'].filter(() => chance() < 0.4));
      if (chance() < 0.15) proxy.cut();
      if (chance() < 0.3) await new Promise((resolve) => setTimeout(resolve, chance() * 60));
    }
    Object.assign(proxy, { mode: 'pass', broken: new Set() });
    proxy.cut();
    const want = Array.from({ length: 150 }, (_, n) => String(n));
    await until('all', () => got.length >= 150 && looped.length >= 150).catch((error) => {
      throw new Error(
        `${got.length} and ${looped.length} came; ${sub.state} at ${sub.cursor} by ${sub.transport}`,
        { cause: error },
      );
    });
    stop = true;
    await loops;
    assert.deepEqual(got, want);
    assert.deepEqual(looped, want);
    sub.close();
  });
}

test('after a gap, a poll reads the kept messages at once', async (t) => {
  const gone = JSON.stringify({ status: 410, gap: { type: 'gap', from: 'e-0', cursor: 'e-8', missed: 8 } });
  const message = '{"messages":[{"type":"message","cursor":"e-9","time":0,"data":"left"}],"cursor":"e-9"}';
  const base = await answering(t, (request, response) => {
    const { searchParams } = new URL(request.url, 'http://x');
    if (searchParams.get('since') === 'e-8') response.writeHead(200, JSON_TYPE).end(message);
    else response.writeHead(410, { 'content-type': 'application/problem+json' }).end(gone);
  });
  // The next regular poll is an hour away.
  const sub = subscribe(base, { transports: ['poll'], since: 'e-0', pollInterval: 3_600_000 });
  t.after(() => sub.close());
  const received = [];
  sub.on('gap', (gap) => received.push(gap.missed)).on('message', (m) => received.push(m.data));
  await until('a message after the gap', () => received.length === 2);
  assert.deepEqual(received, [8, 'left']);
});
