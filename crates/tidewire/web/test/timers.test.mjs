// Options with times of all sizes. A timer of the platform has 31 bits of milliseconds. A longer
// time, or a value that is no number, would end at once.
import assert from 'node:assert/strict';
import { publish, subscribeWith, fetching, longpoll, polling } from '../dist/tidewire.js';
import { answering, normally, roundTrips, waits } from './answering.mjs';
import { test, until } from './deadline.mjs';

const NEVER = [Infinity, 2 ** 31, Number.MAX_VALUE];
const NONE = [NaN, -1, 0, -Infinity, null, undefined];

/** Waits for one turn of the event loop. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

/** A transport with this `run`, which counts its attempts. */
const doing = (run) => {
  const transport = { name: 'mine', tried: 0, run: (link) => (transport.tried++, run(link)) };
  return transport;
};
/** A transport that opens after some turns, and delivers a message after some more. */
const slow = () =>
  doing(async (link) => {
    for (let i = 0; i < 20; i++) await turn();
    link.object({ type: 'hello', cursor: 'e-0' });
    for (let i = 0; i < 20; i++) await turn();
    link.object({ type: 'message', cursor: 'e-1', time: 0, data: 'x' });
    await new Promise(() => {});
  });
const failing = (more) => doing(() => Promise.reject(Object.assign(new Error('no'), more)));

function listen(t, url, transports, options) {
  const sub = subscribeWith(url, { transports, since: 'earliest', backoff: { min: 1, max: 5 }, ...options });
  t.after(() => sub.close());
  const [got, errors] = [[], []];
  sub.on('message', (m) => got.push(m.data)).on('error', (failure) => errors.push(failure));
  return { sub, got, errors };
}

for (const option of ['connectTimeout', 'heartbeatTimeout']) {
  for (const value of NEVER) {
    test(`${option}: ${value} ends no connection`, async (t) => {
      const way = slow();
      const { got, errors } = listen(t, 'http://example.invalid/', [way], { [option]: value });
      await until('the message, or an error', () => got.length || errors.length);
      assert.deepEqual([got, way.tried, errors], [['x'], 1, []]);
    });
  }
}

test('a transport may announce an endless silence', async (t) => {
  const way = doing(async (link) => {
    link.alive(Infinity);
    for (let i = 0; i < 20; i++) await turn();
    link.object({ type: 'message', cursor: 'e-1', time: 0, data: 'x' });
    await new Promise(() => {});
  });
  const { got, errors } = listen(t, 'http://example.invalid/', [way]);
  await until('the message, or an error', () => got.length || errors.length);
  assert.deepEqual([got, way.tried, errors], [['x'], 1, []]);
});

for (const value of NEVER) {
  test(`pollInterval: ${value} asks once`, async (t) => {
    const asked = [];
    const url = await answering(
      t,
      (request, response) => asked.push(request.url) && normally(request, response),
    );
    const { got, sub, errors } = listen(t, url, [polling], { pollInterval: value, heartbeatTimeout: value });
    await until('the message', () => got.length === 1);
    await roundTrips(url);
    assert.equal(asked.filter((url) => url.includes('feed=poll')).length, 1);
    assert.deepEqual([sub.state, errors], ['open', []]);
  });

  test(`tryBetter: ${value} tries no other transport`, async (t) => {
    const asked = [];
    const url = await answering(t, (request, response) => {
      asked.push(request.url);
      if (request.url.includes('feed=stream')) response.writeHead(502).end();
      else normally(request, response);
    });
    // After a 502 the client does not change the transport. So the test lets it begin with the
    // second.
    const store = { getItem: () => 'poll', setItem() {} };
    Object.defineProperty(globalThis, 'sessionStorage', { configurable: true, value: store });
    t.after(() => delete globalThis.sessionStorage);
    const { got, sub } = listen(t, url, [fetching, polling], { tryBetter: value });
    await until('the message', () => got.length === 1);
    await roundTrips(url);
    assert.equal(sub.transport, 'poll');
    assert.equal(asked.filter((url) => url.includes('feed=stream')).length, 0);
  });
}

for (const value of NONE) {
  test(`${value} is no time, so the default is used`, async (t) => {
    const { random } = Math;
    t.after(() => (Math.random = random));
    Math.random = () => 1;
    const url = await answering(t, normally);
    const all = {
      connectTimeout: value,
      heartbeatTimeout: value,
      pollInterval: value,
      tryBetter: value,
      backoff: { min: value, max: value },
    };
    const polled = await waits(async () => {
      const { got } = listen(t, url, [polling], all);
      await until('the message', () => got.length === 1);
      await turn();
    });
    for (const ms of [5_000, 35_000, 300_000, 40_000])
      assert.ok(polled.includes(ms), `no timer of ${ms} ms among ${polled}`);
    assert.equal(polled.filter((ms) => ms === 5_000).length, 2, 'to connect, and to the next poll');
    const failed = await waits(async () => {
      const { errors } = listen(t, url, [failing({ status: 401 })], all);
      await until('a failure, and another', () => errors.length > 1);
    });
    assert.ok(failed.includes(250), String(failed));
    const capped = await waits(async () => {
      const { errors } = listen(t, url, [failing({ status: 401 })], { backoff: { min: 1e6, max: value } });
      await until('a failure', () => errors.length > 0);
    });
    assert.ok(capped.includes(30_000), String(capped));
  });
}

for (const value of NEVER) {
  test(`backoff: ${value} is an endless wait`, async (t) => {
    const { random } = Math;
    t.after(() => (Math.random = random));
    Math.random = () => 1;
    const way = failing({ status: 401 });
    const { sub } = listen(t, 'http://example.invalid/', [way], { backoff: { min: value, max: value } });
    await until('it waits', () => sub.state === 'waiting');
    for (let i = 0; i < 50; i++) await turn();
    assert.equal(way.tried, 1);
  });
}

for (const value of [...NEVER, ...NONE]) {
  test(`shouldRetry: ${value} does not shorten the wait, except 0`, async (t) => {
    const way = failing({ status: 401 });
    const { sub } = listen(t, 'http://example.invalid/', [way], {
      backoff: { min: 1e8, max: 1e8 },
      shouldRetry: () => value,
    });
    if (value === 0) return void (await until('many attempts', () => way.tried > 20));
    await until('it waits', () => sub.state === 'waiting');
    for (let i = 0; i < 50; i++) await turn();
    assert.equal(way.tried, 1);
  });

  test(`minUptime: ${value} is harmless`, async (t) => {
    const way = doing(async (link) => link.alive());
    listen(t, 'http://example.invalid/', [way], { minUptime: value });
    await until('it goes on', () => way.tried > 5);
  });

  test(`retryAfter: ${value} of a custom transport is limited to an hour`, async (t) => {
    const way = failing({ status: 503, retryAfter: value });
    const asked = await waits(async () => {
      const { errors } = listen(t, 'http://example.invalid/', [way], { backoff: { min: 7e6, max: 7e6 } });
      await until('refused', () => errors.length === 1);
      for (let i = 0; i < 20; i++) await turn();
    });
    assert.equal(way.tried, 1);
    const floor = value > 0 ? 3_600_000 : 0;
    assert.ok(
      asked.some((ms) => ms > floor && ms <= floor + 7e6),
      String(asked.filter((ms) => ms > 25)),
    );
  });
}

test('for all options, no timer gets a time beyond its range', async (t) => {
  const url = await answering(t, normally);
  for (const value of [...NEVER, ...NONE]) {
    const all = {
      connectTimeout: value,
      heartbeatTimeout: value,
      pollInterval: value,
      minUptime: value,
      tryBetter: value,
      backoff: { min: value, max: value },
    };
    for (const transports of [[fetching, longpoll, polling], [polling], [longpoll], [failing(), polling]]) {
      const asked = await waits(async () => {
        const { sub, got, errors } = listen(t, url, transports, all);
        await until('something', () => got.length + errors.length > 0);
        for (let i = 0; i < 5; i++) await turn();
        sub.close();
      });
      for (const ms of asked) assert.ok(ms >= 0 && ms < 2 ** 31, `${value}: a timer of ${ms} ms`);
    }
  }
});

for (const value of ['99999999', '1e400', 'Fri, 31 Dec 9999 23:59:59 GMT']) {
  test(`Retry-After: ${value} is limited to an hour, and publish rejects with the whole time`, async (t) => {
    let requests = 0;
    const url = await answering(t, (request, response) => {
      requests++;
      response.writeHead(503, { 'Retry-After': value }).end();
    });
    const asked = await waits(async () => {
      const { sub, errors } = listen(t, url, [fetching]);
      await until('refused', () => errors.length === 1 && sub.state === 'waiting');
    });
    // Including a few milliseconds of the backoff.
    assert.ok(
      asked.some((ms) => ms >= 3_600_000 && ms <= 3_600_005),
      String(asked),
    );
    assert.ok(!asked.some((ms) => ms > 3_600_005));
    requests = 0;
    await assert.rejects(
      publish(url, 'x'),
      ({ status, retryAfter }) => status === 503 && retryAfter > 3_600_000,
    );
    assert.equal(requests, 1, 'publish does not try again');
  });
}

for (const value of ['', '-5', 'soon', '0', 'Thu, 01 Jan 1970 00:00:00 GMT']) {
  test(`Retry-After: ${value || 'nothing'} causes no wait`, async (t) => {
    let requests = 0;
    const url = await answering(t, (request, response) =>
      ++requests < 4 ? response.writeHead(503, { 'Retry-After': value }).end() : normally(request, response),
    );
    const { got } = listen(t, url, [fetching]);
    await until('the message', () => got.length === 1);
  });
}
