// The end of a channel, and its deletion, over each transport. In Node, with answers that the test
// chooses.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { publish, subscribe, subscribeWith } from '../dist/tidewire.js';
import { JSON_TYPE, answering, roundTrips } from './answering.mjs';
import { test, until } from './deadline.mjs';

const FAST = { since: 'a-0', backoff: { min: 1, max: 5 }, pollInterval: 5 };

const message = (cursor, more) => ({ type: 'message', cursor, time: 0, data: cursor, ...more });
const end = (cursor, channel) => ({ type: 'end', cursor, channel });
const DELETED = { status: 404, detail: 'It was deleted.', reason: 'deleted' };
const END = 'the channel has ended';

/** Starts a server that answers with `answer(query, n, response)`. `asked` has the queries. */
async function scripted(t, answer) {
  const asked = [];
  const url = await answering(t, (request, response) => {
    const { searchParams } = new URL(request.url, 'http://x');
    if (searchParams.has('roundtrip')) return response.end();
    asked.push(searchParams);
    answer(searchParams, asked.length, response);
  });
  return { url, asked };
}

const json = (response, object, status = 200) =>
  response.writeHead(status, JSON_TYPE).end(JSON.stringify(object));
const stream = (response, ...objects) => {
  if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  response.write(objects.map((object) => `${JSON.stringify(object)}\n`).join(''));
};
const hello = (query) => ({ type: 'hello', cursor: query.get('since') });

/** Subscribes, and records what the page is told. */
function listen(t, url, options) {
  const sub = subscribe(url, { ...FAST, ...options });
  t.after(() => sub.close());
  const told = { ends: [], errors: [], states: [] };
  sub.on('end', (end) => told.ends.push(end)).on('error', (failure) => told.errors.push(failure));
  sub.on('state', (state) => told.states.push(state));
  return { sub, ...told };
}

/** Reads to the end. Resolves to the messages, and to the error if the loop threw. */
async function readAll(sub) {
  const got = [];
  try {
    for await (const { data } of sub) got.push(data);
  } catch (error) {
    return { got, error };
  }
  return { got };
}

/** Nothing more is asked, as long as some requests take. */
async function isQuiet(url, asked) {
  const { length } = asked;
  await roundTrips(url, 20);
  assert.equal(asked.length, length, 'it asks again');
}

/** How each transport in Node gets these messages and the end. */
const TOLD = {
  fetch: (query, response, messages) => {
    stream(response, hello(query), ...messages.map((one) => message(one)), end('a-3'));
    response.end();
  },
  longpoll: (_, response, messages) =>
    json(response, { messages: messages.map((one) => message(one)), cursor: 'a-3', gap: null, closed: true }),
};
TOLD.poll = TOLD.longpoll;

for (const [transport, answer] of Object.entries(TOLD)) {
  test(`${transport}: the loop ends with the channel, and nothing reconnects`, async (t) => {
    const { url, asked } = await scripted(t, (query, _, response) => answer(query, response, ['a-1', 'a-2']));
    const stored = [];
    const storage = { get: () => undefined, set: (cursor) => stored.push(cursor) };
    const { sub, ends, errors, states } = listen(t, url, { transports: [transport], storage });
    assert.deepEqual(await readAll(sub), { got: ['a-1', 'a-2'] });
    assert.deepEqual([ends, errors], [[{ cursor: 'a-3', channel: undefined }], []]);
    assert.deepEqual([sub.state, states.at(-1)], ['closed', 'closed']);
    assert.deepEqual([sub.cursor, stored.at(-1)], ['a-3', 'a-3']);
    assert.equal(asked.length, 1);
    await isQuiet(url, asked);
  });

  test(`${transport}: a subscription at the end gets only the end`, async (t) => {
    const { url, asked } = await scripted(t, (query, _, response) => answer(query, response, []));
    const { sub, ends, errors } = listen(t, url, { transports: [transport], since: 'a-3' });
    assert.deepEqual(await readAll(sub), { got: [] });
    assert.deepEqual([ends.length, errors, sub.cursor], [1, [], 'a-3']);
    await isQuiet(url, asked);
  });

  test(`${transport}: a cut between the last message and the end causes one more request`, async (t) => {
    const messages = [message('a-1'), message('a-2')];
    let first;
    const { url, asked } = await scripted(t, (query, n, response) => {
      if (n > 1) return answer(query, response, []);
      first = response;
      if (transport === 'fetch') stream(response, hello(query), ...messages);
      else json(response, { messages, cursor: 'a-2', gap: null });
    });
    const { sub, ends } = listen(t, url, { transports: [transport] });
    sub.on('message', ({ cursor }) => cursor === 'a-2' && first.destroy());
    assert.deepEqual(await readAll(sub), { got: ['a-1', 'a-2'] });
    assert.deepEqual([ends.length, asked.length, asked[1].get('since')], [1, 2, 'a-2']);
    await isQuiet(url, asked);
  });

  test(`${transport}: for a channel that was deleted, the loop throws, and nothing reconnects`, async (t) => {
    const { url, asked } = await scripted(t, (_, n, response) => json(response, DELETED, 404));
    const { sub, ends, errors } = listen(t, url, { transports: [transport] });
    const { got, error } = await readAll(sub);
    assert.deepEqual([got, error.status, error.channel], [[], 404, 'x']);
    assert.match(error.message, /deleted: x$/);
    assert.deepEqual(errors, [{ transport, status: 404, detail: error.message, channel: 'x' }]);
    assert.deepEqual([ends, sub.state, asked.length], [[], 'closed', 1]);
    await isQuiet(url, asked);
  });
}

test('a deletion throws after the messages, once in each loop, with the name of the channel', async (t) => {
  const { url, asked } = await scripted(t, (query, _, response) => {
    stream(response, hello(query), message('a-1.b-0'), { type: 'deleted', channel: 'a/b' });
    response.end();
  });
  const both = url.replace('/c/x', '/c/a/b,c');
  const { sub, errors } = listen(t, both, { transports: ['fetch'], since: 'a-0.b-0' });
  const one = sub[Symbol.asyncIterator]();
  const [first, second, third] = [one.next(), one.next(), one.next()];
  const two = await readAll(sub);
  assert.deepEqual([two.got, two.error.channel], [['a-1.b-0'], 'a/b']);
  assert.equal((await first).value.data, 'a-1.b-0');
  await assert.rejects(second, { channel: 'a/b', status: 404 });
  assert.deepEqual(await third, { value: undefined, done: true });
  assert.equal(errors.length, 1);
  await assert.rejects(sub[Symbol.asyncIterator]().next(), { channel: 'a/b' }, 'a later loop throws too');
  await isQuiet(url, asked);
});

test('a 404 without the reason is a failure as any other', async (t) => {
  const { url, asked } = await scripted(t, (query, n, response) =>
    n < 6 ? json(response, { status: 404, detail: 'No.' }, 404) : TOLD.fetch(query, response, []),
  );
  const { sub, errors } = listen(t, url, { transports: ['fetch'], since: 'a-2' });
  assert.deepEqual(await readAll(sub), { got: [] });
  assert.ok(errors.length && asked.length >= 6);
});

test('an end of several channels is told for each, and the loop ends with the last', async (t) => {
  // Every connection may tell the ends again, or not.
  for (const again of [true, false]) {
    let first;
    const { url, asked } = await scripted(t, (query, n, response) => {
      first ??= response;
      const say = (...objects) => stream(response, hello(query), ...objects);
      if (n === 1) say(message('a-1.b-0', { channel: 'a' }), end('a-2.b-0', 'a'));
      else {
        if (again) say(end('a-2.b-0', 'a'));
        say(message('a-2.b-1', { channel: 'b' }), end('a-2.b-2', 'b'));
        response.end();
      }
    });
    const { sub, ends } = listen(t, url, { transports: ['fetch'], since: 'a-0.b-0' });
    sub.on('end', () => first.destroy());
    assert.deepEqual(await readAll(sub), { got: ['a-1.b-0', 'a-2.b-1'] });
    assert.deepEqual(ends, [
      { cursor: 'a-2.b-0', channel: 'a' },
      { cursor: 'a-2.b-2', channel: 'b' },
    ]);
    assert.deepEqual([sub.cursor, asked[1].get('since')], ['a-2.b-2', 'a-2.b-0']);
    await isQuiet(url, asked);
  }
});

for (const transport of ['longpoll', 'poll']) {
  test(`${transport}: each of several channels ends at its place, and nothing else moves`, async (t) => {
    const two = (cursor, channel) => message(cursor, { channel });
    const answers = [
      { messages: [two('a-1.b-0', 'a')], cursor: 'a-1.b-0' },
      { messages: [end('a-2.b-0', 'a')], cursor: 'a-2.b-0' },
      // The first time, an object for the other channel is missing.
      { messages: [], cursor: 'a-2.b-1' },
      { messages: [two('a-2.b-1', 'b'), end('a-2.b-2', 'b')], cursor: 'a-2.b-2', closed: true },
    ];
    const { url, asked } = await scripted(t, (_, n, response) => json(response, answers[n - 1]));
    const both = url.replace('/c/x', '/c/a,b');
    const { sub, ends, errors } = listen(t, both, { transports: [transport], since: 'a-0.b-0' });
    assert.deepEqual(await readAll(sub), { got: ['a-1.b-0', 'a-2.b-1'] });
    assert.deepEqual(ends, [end('a-2.b-0', 'a'), end('a-2.b-2', 'b')].map(({ type, ...rest }) => rest));
    assert.deepEqual(
      errors.map(({ detail }) => detail),
      ['a hole in the feed'],
    );
    assert.deepEqual(
      asked.map((query) => query.get('since')),
      ['a-0.b-0', 'a-1.b-0', 'a-2.b-0', 'a-2.b-0'],
    );
    await isQuiet(url, asked);

    // A reader that comes back after the ends is told once.
    const late = listen(t, both, { transports: [transport], since: 'a-2.b-2' });
    answers.push({ messages: [], cursor: 'a-2.b-2', closed: true });
    assert.deepEqual(await readAll(late.sub), { got: [] });
    assert.deepEqual([late.ends, late.errors], [[{ cursor: 'a-2.b-2', channel: undefined }], []]);
  });

  test(`${transport}: of several channels, the refusal names the one that was deleted`, async (t) => {
    const { url, asked } = await scripted(t, (_, n, response) =>
      json(response, { ...DELETED, channel: 'b' }, 404),
    );
    const { sub } = listen(t, url.replace('/c/x', '/c/a,b'), { transports: [transport], since: 'a-0.b-0' });
    assert.equal((await readAll(sub)).error.channel, 'b');
    await isQuiet(url, asked);
  });
}

test('messages that wait for a loop come before its end, and close drops them', async (t) => {
  const { url } = await scripted(t, (query, _, response) => TOLD.fetch(query, response, ['a-1', 'a-2']));
  const { sub, states } = listen(t, url, { transports: ['fetch'] });
  const [one, two] = [sub[Symbol.asyncIterator](), sub[Symbol.asyncIterator]()];
  await until('closed', () => states.at(-1) === 'closed');
  assert.equal(sub.cursor, 'a-0');
  assert.equal((await one.next()).value.data, 'a-1');
  assert.equal((await two.next()).value.data, 'a-1');
  assert.equal(sub.cursor, 'a-1', 'a subscription from here gets the second message and the end');
  await one.return();
  assert.equal((await two.next()).value.data, 'a-2');
  assert.equal((await two.next()).done, true);
  const three = sub[Symbol.asyncIterator]();
  assert.equal((await three.next()).done, true);

  const other = listen(t, url, { transports: ['fetch'] });
  const left = other.sub[Symbol.asyncIterator]();
  await until('closed', () => other.states.at(-1) === 'closed');
  other.sub.close();
  assert.equal((await left.next()).done, true);
});

test('the end of a log that has lost its tail is not the end of the log that followed', async (t) => {
  const links = [];
  const hand = { name: 'hand', run: (link) => new Promise(() => links.push(link)) };
  const sub = subscribeWith('http://example.invalid/c/x', { ...FAST, transports: [hand], since: 'a-7' });
  t.after(() => sub.close());
  const got = [];
  sub.on('message', ({ data }) => got.push(data)).on('gap', ({ reason }) => got.push(reason));
  sub.on('end', ({ cursor }) => got.push(`end ${cursor}`));
  await until('connected', () => links.length);
  links[0].object({ type: 'reset', reason: 'tail-lost', cursor: 'a-5' });
  links[0].object(end('a-8'));
  await until('connected again', () => links.length === 2);
  links[1].object(end('a-8'));
  await until('connected again', () => links.length === 3);
  links[2].object(message('b-6'));
  links[2].object(end('b-7'));
  links[2].object(message('b-7'));
  assert.deepEqual(got, ['tail-lost', 'b-6', 'end b-7']);
  assert.equal(sub.state, 'closed');
});

test('with several channels, such an end is not the end of one of them', async (t) => {
  const links = [];
  const hand = { name: 'hand', run: (link) => new Promise(() => links.push(link)) };
  const options = { ...FAST, transports: [hand], since: 'a-7.f-1' };
  const sub = subscribeWith('http://example.invalid/c/x,y', options);
  t.after(() => sub.close());
  const ends = [];
  sub.on('message', () => {}).on('gap', () => {});
  sub.on('end', ({ channel, cursor }) => ends.push(`${channel} ${cursor}`));
  await until('connected', () => links.length);
  links[0].object({ type: 'reset', reason: 'tail-lost', cursor: 'a-5.f-1' });
  links[0].object(end('a-8.f-1', 'x'));
  await until('connected again', () => links.length === 2);
  links[1].object(end('a-5.f-2', 'y'));
  links[1].object(end('b-6.f-2', 'x'));
  assert.deepEqual(ends, ['y a-5.f-2', 'x b-6.f-2']);
  assert.equal(sub.state, 'closed');
});

/** A class in place of the browser's. `say` gets each new instance, and may call its handlers. */
function pretend(t, name, say) {
  const made = [];
  globalThis[name] = class {
    constructor(url) {
      this.url = new URL(url);
      made.push(this);
      setTimeout(() => this.isClosed || say(this, made.length));
    }
    close() {
      this.isClosed = true;
    }
  };
  t.after(() => delete globalThis[name]);
  return made;
}

const said = (socket, ...objects) => {
  for (const object of objects) socket.onmessage({ data: JSON.stringify(object) });
};
const since = (socket) => socket.url.searchParams.get('since');

test('websocket: an end object or the close code ends the loop', async (t) => {
  const { url, asked } = await scripted(t, (_, n, response) => json(response, {}, 500));
  for (const objects of [[message('a-1'), end('a-2')], [message('a-1')]]) {
    const made = pretend(t, 'WebSocket', (socket) => {
      said(socket, { type: 'hello', cursor: since(socket) }, ...objects);
      socket.onclose({ code: 1000, reason: END });
    });
    const { sub, ends, errors } = listen(t, url, { transports: ['websocket'] });
    assert.deepEqual(await readAll(sub), { got: ['a-1'] });
    assert.deepEqual([ends.length, errors, made.length], [1, [], 1]);
  }
  await isQuiet(url, asked);
});

test('websocket: another close with 1000 is not the end', async (t) => {
  const made = pretend(t, 'WebSocket', (socket, n) => {
    said(socket, { type: 'hello', cursor: since(socket) }, ...(n > 1 ? [end('a-1')] : []));
    socket.onclose({ code: 1000, reason: '' });
  });
  const { sub } = listen(t, 'http://example.invalid/c/x', { transports: ['websocket'] });
  assert.deepEqual(await readAll(sub), { got: [] });
  assert.equal(made.length, 2);
});

test('websocket: a deletion closes with 4404, or refuses the handshake', async (t) => {
  const { url, asked } = await scripted(t, (_, n, response) => json(response, DELETED, 404));
  for (const [objects, code, requests] of [
    [[{ type: 'hello', cursor: 'a-0' }, { type: 'deleted' }], 4404, 0],
    [[{ type: 'hello', cursor: 'a-0' }], 4404, 0],
    [[], 1006, 1],
  ]) {
    asked.length = 0;
    const made = pretend(t, 'WebSocket', (socket) => {
      said(socket, ...objects);
      socket.onclose({ code, reason: '' });
    });
    const { sub, errors } = listen(t, url, { transports: ['websocket'] });
    const { error } = await readAll(sub);
    assert.equal(error.channel, 'x');
    assert.deepEqual([errors.length, made.length, asked.length], [1, 1, requests], String(code));
    await isQuiet(url, asked);
    assert.equal(made.length, 1);
  }
});

test('sse: an end object ends the loop, and a status that the page cannot see is asked for', async (t) => {
  const ended = { messages: [], cursor: 'a-2', gap: null, closed: true };
  for (const [objects, options, answer, status, requests] of [
    [[message('a-1'), end('a-2')], {}, ended, 200, 0],
    // At the end, the server answers 204.
    [[], { since: 'a-2' }, ended, 200, 1],
    [[{ type: 'deleted' }], {}, DELETED, 404, 0],
    [[], {}, DELETED, 404, 1],
  ]) {
    const { url, asked } = await scripted(t, (_, n, response) => json(response, answer, status));
    const made = pretend(t, 'EventSource', (source) => {
      if (objects.length) said(source, { type: 'hello', cursor: since(source) }, ...objects);
      source.onerror();
    });
    const { sub, ends, errors } = listen(t, url, { transports: ['sse'], ...options });
    const { got, error } = await readAll(sub);
    const isDeleted = answer === DELETED;
    assert.equal(error?.channel, isDeleted ? 'x' : undefined);
    assert.deepEqual([errors.length, ends.length], isDeleted ? [1, 0] : [0, 1]);
    assert.deepEqual(got, objects.length > 1 ? ['a-1'] : []);
    assert.deepEqual([made.length, asked.length], [1, requests]);
    await isQuiet(url, asked);
    assert.equal(made.length, 1);
  }
});

test('sse: a failure before the end of a closed channel is not the end', async (t) => {
  const { url } = await scripted(t, (_, n, response) =>
    json(response, { messages: [], cursor: 'a-2', gap: null, closed: true }),
  );
  const made = pretend(t, 'EventSource', (source, n) => {
    if (n > 2) said(source, message('a-1'), end('a-2'));
    source.onerror();
  });
  const { sub } = listen(t, url, { transports: ['sse'] });
  assert.deepEqual(await readAll(sub), { got: ['a-1'] });
  assert.equal(made.length, 3);
});

test('after the end, no timer and no connection is left', async (t) => {
  const { url } = await scripted(t, (query, _, response) =>
    TOLD[query.get('feed') === 'stream' ? 'fetch' : query.get('feed')](query, response, ['a-1', 'a-2']),
  );
  // The process ends by itself when no timer and no connection is left.
  const program = `
    import { subscribe } from ${JSON.stringify(new URL('../dist/tidewire.js', import.meta.url).href)};
    let n = 0;
    for (const transport of ['fetch', 'longpoll', 'poll'])
      for await (const _ of subscribe('${url}', { transports: [transport], since: 'a-0' })) n++;
    process.on('exit', () => console.log(n));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let out = '';
  for await (const text of child.stdout) out += text;
  assert.equal(out, '6\n');
});

test('a publish can close the channel, and have a producer in place of a key', async (t) => {
  const requests = [];
  const url = await answering(t, (request, response) => {
    requests.push(request);
    json(response, { cursor: 'a-1', closed: true, end: 'a-2' }, 201);
  });
  assert.equal(await publish(url, 'last', { close: true }), 'a-1');
  await publish(url, 'x', { producer: { id: 'me', epoch: 0, seq: 7 }, event: 'e' });
  const [first, second] = requests;
  assert.match(first.url, /\?close=1$/);
  assert.ok(first.headers['idempotency-key'] && !first.headers['producer-id']);
  assert.match(second.url, /\?event=e$/);
  const fields = ['producer-id', 'producer-epoch', 'producer-seq', 'idempotency-key'];
  assert.deepEqual(
    fields.map((name) => second.headers[name]),
    ['me', '0', '7', undefined],
  );
});
