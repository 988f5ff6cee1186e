// Answers that are not from the server: caches that repeat an old answer, proxies that do not wait,
// captive portals. The client must not ask without a pause, deliver a message twice, or accept a
// wrong page.
import assert from 'node:assert/strict';
import { publish, subscribe } from '../dist/tidewire.js';
import { JSON_TYPE, answering, normally, roundTrips } from './answering.mjs';
import { test, until } from './deadline.mjs';

const HOUR = 3_600_000;
const HTTP = ['fetch', 'longpoll', 'poll'];

const message = (cursor) => ({ type: 'message', cursor, time: 0, data: cursor });
const page = (cursor, ...messages) => ({ messages: messages.map(message), cursor });
const json = (response, object, status = 200) =>
  response.writeHead(status, JSON_TYPE).end(JSON.stringify(object));

/** Starts a server that answers polls with `answer`, and records the polls. */
async function polled(t, answer) {
  const asked = [];
  const url = await answering(t, (request, response) => {
    const { searchParams } = new URL(request.url, 'http://x');
    if (!searchParams.has('feed')) return response.end();
    asked.push(searchParams);
    answer(response, searchParams, asked.length);
  });
  return { url, asked };
}

/** A subscription whose waits are an hour, so that all requests are ones that it makes at once. */
function listen(t, url, options) {
  const { random } = Math;
  Math.random = () => 1;
  const sub = subscribe(url, {
    since: 'earliest',
    pollInterval: HOUR,
    backoff: { min: HOUR, max: HOUR },
    ...options,
  });
  t.after(() => {
    Math.random = random;
    sub.close();
  });
  const [received, errors, states] = [[], [], []];
  sub.on('message', (m) => received.push(m.data));
  sub.on('gap', ({ reason, cursor }) => received.push(`${reason} ${cursor}`));
  sub.on('error', (failure) => errors.push(failure)).on('state', (state) => states.push(state));
  return { sub, received, errors, states };
}

for (const [name, again] of [
  ['an old answer that is repeated', page('e-2', 'e-1', 'e-2')],
  ['an empty answer that was not held', page('e-2')],
]) {
  test(`longpoll: ${name} causes a pause, and no message is delivered twice`, async (t) => {
    const { url, asked } = await polled(t, (response, _, n) =>
      json(response, n === 1 ? page('e-2', 'e-1', 'e-2') : again),
    );
    const { received, sub, errors } = listen(t, url, { transports: ['longpoll'] });
    await until('the second answer', () => asked.length >= 2);
    await roundTrips(url);
    assert.equal(asked.length, 2, 'the first at once, and one that should have been held');
    assert.deepEqual(received, ['e-1', 'e-2']);
    assert.deepEqual([sub.state, errors], ['open', []]);
  });

  test(`longpoll: after ${name}, new messages are delivered`, async (t) => {
    const { url, asked } = await polled(t, (response, _, n) =>
      json(response, n === 1 ? page('e-2', 'e-1', 'e-2') : n < 5 ? again : page('e-3', 'e-3')),
    );
    const { received } = listen(t, url, { transports: ['longpoll'], pollInterval: 10 });
    await until('what is new', () => received.length === 3);
    assert.deepEqual(received, ['e-1', 'e-2', 'e-3']);
    assert.ok(asked.length >= 5);
  });
}

test('longpoll: after an answer with a message, the next request is sent at once', async (t) => {
  const { url } = await polled(t, (response, _, n) => n <= 200 && json(response, page(`e-${n}`, `e-${n}`)));
  const { received } = listen(t, url, { transports: ['longpoll'] });
  await until('two hundred answers', () => received.length === 200);
});

test('longpoll: after an empty answer that was held, the next request is sent at once', async (t) => {
  const { url, asked } = await polled(t, (response, query, n) => {
    // Held for 1.5 of the 10 seconds that the client allows. A tenth of them counts as held. The
    // time-out of the client is far away, also on a busy machine.
    if (n < 4) setTimeout(json, n === 1 ? 0 : Number(query.get('wait')) * 150, response, page('e-0'));
    else if (n === 4) json(response, page('e-1', 'e-1'));
  });
  const { received } = listen(t, url, { transports: ['longpoll'], heartbeatTimeout: 20_000 });
  await until('the message', () => received.length === 1);
  assert.ok(asked.length >= 4);
});

const gone = (response, object) =>
  response
    .writeHead(410, { 'Content-Type': 'application/problem+json' })
    .end(JSON.stringify({ status: 410, detail: 'Gone.', gap: object }));
const GAP = { type: 'gap', from: 'e-0', cursor: 'e-8', missed: 8 };
const reset = (cursor) => ({ type: 'reset', reason: 'unknown-epoch', cursor });
const GONE = {
  'the same gap again and again': () => GAP,
  'a gap that moves on': (n) => ({ ...GAP, cursor: `e-${8 * n}` }),
  'the resets of two servers in turn': (n) => reset(n % 2 ? 'f-0' : 'g-0'),
};

for (const transport of ['longpoll', 'poll']) {
  for (const [name, object] of Object.entries(GONE)) {
    test(`${transport}: after ${name}, the next request is sent at once, only once`, async (t) => {
      const { url, asked } = await polled(t, (response, _, n) => gone(response, object(n)));
      const { received, errors, sub } = listen(t, url, { transports: [transport], since: 'e-0' });
      await until('it waits', () => sub.state === 'waiting');
      await roundTrips(url);
      assert.equal(asked.length, 2);
      assert.equal(asked[1].get('since'), object(1).cursor);
      assert.deepEqual(received, [`${object(1).reason ?? 'gap'} ${object(1).cursor}`]);
      assert.deepEqual(errors, [{ transport, status: 410, detail: 'Gone.' }]);
    });
  }

  test(`${transport}: after a restart, a reset of each channel is reported once, at once`, async (t) => {
    const cursors = ['f-0.x-1.y-1', 'f-0.g-0.y-1', 'f-0.g-0.h-0'];
    const { url, asked } = await polled(t, (response, _, n) =>
      n <= 3
        ? gone(response, reset(cursors[n - 1]))
        : n === 4 && json(response, page('f-0.g-0.h-1', 'f-0.g-0.h-1')),
    );
    const { received, errors } = listen(t, url, { transports: [transport], since: 'e-1.x-1.y-1' });
    await until('the message, or an error', () => received.length === 4 || errors.length);
    assert.deepEqual(received, [...cursors.map((cursor) => `unknown-epoch ${cursor}`), 'f-0.g-0.h-1']);
    assert.deepEqual(
      asked.slice(0, 4).map((query) => query.get('since')),
      ['e-1.x-1.y-1', ...cursors],
    );
  });

  test(`${transport}: after contradicting resets of two servers, messages are delivered`, async (t) => {
    const { url } = await polled(t, (response, query, n) =>
      n < 9 ? gone(response, reset(n % 2 ? 'f-0' : 'g-0')) : json(response, page('f-1', 'f-1')),
    );
    const { received } = listen(t, url, {
      transports: [transport],
      since: 'e-0',
      backoff: { min: 1, max: 2 },
      pollInterval: 10,
    });
    await until('the message', () => received.includes('f-1'));
    assert.equal(received.filter((one) => one === 'f-1').length, 1);
  });
}

/** Answers like a captive portal, in two pieces of one line: neither is a sign of life. */
function portal(request, response) {
  response.writeHead(200, { 'Content-Type': 'text/html' });
  response.write('<title>Welcome</title>');
  setTimeout(() => response.end('<p>to our Wi-Fi!'), 5);
}

test('behind a captive portal, the client waits and keeps its transport', async (t) => {
  const asked = [];
  let signedIn = false;
  const url = await answering(t, (request, response) => {
    asked.push(request);
    (signedIn ? normally : portal)(request, response);
  });
  const { sub, received, errors, states } = listen(t, url, { transports: HTTP, backoff: { min: 1, max: 5 } });
  await until('some tries', () => errors.length >= 8);
  // With a poll from `now`, it only checks whether the server answers.
  const isUsual = ({ url }) => url.includes('since=now&feed=poll') || url.includes('feed=stream');
  assert.ok(asked.every(isUsual), 'no other transport was tried');
  assert.ok(!states.includes('open'));
  assert.deepEqual(errors[0], { transport: 'fetch', status: undefined, detail: 'not Tidewire' });
  signedIn = true;
  await until('the message', () => received.length === 1);
  assert.equal(sub.transport, 'fetch');
});

for (const transport of HTTP) {
  for (const [name, body, type] of [
    ['a page', '<p>Welcome', 'text/html'],
    ['a text', '{"messages":[],"cursor":"e-0"}', 'text/plain'],
    ['other JSON', '{"message":"ok"}\n', 'application/json'],
  ]) {
    // A line of other JSON is a sign of life.
    if (transport === 'fetch' && name === 'other JSON') continue;
    test(`${transport}: ${name} is no sign of life`, async (t) => {
      const url = await answering(t, (_, response) =>
        response.writeHead(200, { 'Content-Type': type }).end(body),
      );
      const { errors, states } = listen(t, url, { transports: [transport], backoff: { min: 1, max: 5 } });
      await until('some tries', () => errors.length >= 3);
      assert.ok(!states.includes('open'), String(states));
    });
  }
}

test('an answer without a cursor is no acknowledgement, whatever its status', async (t) => {
  for (const [status, type, body] of [
    [200, 'text/html', '<p>Welcome'],
    [201, 'text/html', ''],
    [204],
    [200, 'application/json', '{"message":"ok"}'],
    [200, 'application/json', ''],
  ]) {
    const url = await answering(t, (_, response) =>
      response.writeHead(status, type && { 'Content-Type': type }).end(body),
    );
    await assert.rejects(publish(url, 'x'), undefined, `${status} ${type} ${body}`);
  }
});

test('keys are random and not guessable, even without crypto.randomUUID', async (t) => {
  const keys = [];
  const url = await answering(
    t,
    (request, response) => keys.push(request.headers['idempotency-key']) && normally(request, response),
  );
  const { random } = Math;
  t.after(() => {
    Math.random = random;
    delete crypto.randomUUID;
  });
  Math.random = () => assert.fail('the results of Math.random can be guessed');
  for (const randomUUID of [crypto.randomUUID, undefined]) {
    // Over plain HTTP there is no randomUUID.
    Object.defineProperty(crypto, 'randomUUID', { value: randomUUID, configurable: true });
    for (let i = 0; i < 20; i++) await publish(url, 'x');
  }
  assert.equal(new Set(keys).size, 40);
  for (const key of keys) assert.ok(key.replace(/\W/g, '').length >= 28, `128 bits are more than ${key}`);
});
