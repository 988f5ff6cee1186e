// A log goes on in a new epoch: with the next number it is contiguous, with any other it is a hole.
// No message is delivered twice, and none of a lost tail after its loss was reported.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { subscribeWith } from '../dist/tidewire.js';
import { test, until } from './deadline.mjs';

/** The part of the client that delivers, without its connections. */
let delivery;
before(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidewire-'));
  try {
    const outfile = join(folder, 'delivery.mjs');
    const source = fileURLToPath(new URL('../src/delivery.ts', import.meta.url));
    await build({ entryPoints: [source], bundle: true, format: 'esm', outfile });
    ({ delivery } = await import(pathToFileURL(outfile)));
  } finally {
    await rm(folder, { recursive: true });
  }
});

const message = (cursor, more) => ({ type: 'message', cursor, time: 0, data: cursor, ...more });
const reset = (cursor, reason = 'tail-lost') => ({ type: 'reset', reason, cursor });

/** A reader that is at `since`. `got` has what it delivered and what it reported. */
function reader(since) {
  const got = [];
  const it = delivery({ since }, () => false);
  it.listeners.message.add(({ data }) => got.push(data));
  it.listeners.gap.add(({ reason, missed = '' }) => got.push(`${reason} ${missed}`.trim()));
  /** A transport that asks at the head, or that has asked at an earlier one. */
  const open = (seen = it.head()) => {
    const takeOne = (object) => {
      const before = seen;
      seen = object.cursor;
      return it.take(object, 'mine', before);
    };
    takeOne({ type: 'hello', cursor: seen });
    return (...all) => all.forEach((one) => takeOne(typeof one === 'string' ? message(one) : one));
  };
  return { got, open, head: it.head };
}

test('a new epoch with the next number is contiguous', () => {
  for (const [since, next] of [
    ['s-0', 'c-1'],
    ['a-5', 'b-6'],
    ['s-0.f-3', 'c-1.f-3'],
    ['a-9007199254740000', 'b-9007199254740001'],
  ]) {
    const { got, open, head } = reader(since);
    open()(next);
    assert.deepEqual([got, head()], [[next], next]);
  }
});

test('a number that is missing is an error first, and a gap if it is missing again', () => {
  for (const [since, next, report] of [
    ['a-5', 'a-7', 'hole 1'],
    ['a-5.f-1', 'a-5.f-4', 'hole 2'],
    // A message moves one channel.
    ['a-5.f-1', 'a-6.f-2', 'hole 1'],
  ]) {
    const { got, open, head } = reader(since);
    assert.throws(() => open()(next), /hole/, next);
    assert.deepEqual([got, head()], [[], since]);
    open()(next);
    assert.deepEqual([got, head()], [[report, next], next]);
  }
});

test('an object that only says where the transport is moves nothing', () => {
  for (const [since, next, type] of [
    ['a-5', 'a-6', 'hello'],
    ['a-5.f-1', 'a-6.f-1', 'hello'],
    // Each of several channels tells its own end.
    ['a-5.f-1', 'a-6.f-1', 'end'],
  ]) {
    const { got, open, head } = reader(since);
    const place = { type, cursor: next };
    assert.throws(() => open()(place), /hole/, next);
    assert.deepEqual([got, head()], [[], since]);
    open()(place);
    assert.deepEqual([got, head()], [['hole 1'], next]);
  }
  for (const since of ['now', 'earliest']) {
    const { got, open, head } = reader(since);
    open()({ type: 'hello', cursor: 'a-5.f-1' });
    assert.deepEqual([got, head()], [[], 'a-5.f-1'], since);
  }
  const { got, open } = reader('earliest');
  open()('a-1.f-7');
  assert.deepEqual(got, ['a-1.f-7']);
});

test('a new epoch with another number is an error, as often as it comes', () => {
  for (const [since, next] of [
    ['a-5', 'b-5'],
    ['a-5', 'b-7'],
    ['a-5', 'b-1'],
    ['s-0', 'c-2'],
    ['a-5.f-1', 'a-5.g-1'],
  ])
    for (const type of ['message', 'hello', 'end']) {
      const { got, open, head } = reader(since);
      for (let i = 0; i < 3; i++) assert.throws(() => open()(message(next, { type })), /behind/, next);
      assert.deepEqual([got, head()], [[], since]);
    }
});

test('a replay by another transport is no repetition, also across an epoch', () => {
  const { got, open } = reader('a-3');
  const [one, two, three] = [open(), open(), open()];
  one('a-4', 'a-5');
  two('a-4', 'a-5', 'b-6');
  one('b-6');
  two('c-7');
  three('a-4', 'a-5', 'b-6', 'c-7', 'c-8');
  one('c-7', 'c-8');
  two({ type: 'gap', from: 'c-7', cursor: 'c-8', missed: 1 });
  assert.deepEqual(got, ['a-4', 'a-5', 'b-6', 'c-7', 'c-8']);
});

test('after a lost tail, none of its messages are delivered', () => {
  const { got, open, head } = reader('a-7');
  const [lagging, another] = [open(), open()];
  lagging('a-8');
  open()(reset('a-5'));
  lagging('a-9', 'a-10', { type: 'gap', from: 'a-10', cursor: 'a-12', missed: 2 });
  open()('a-6', { type: 'hello', cursor: 'a-8' });
  assert.equal(head(), 'a-5');
  open()('b-6');
  another('a-8', 'a-9');
  open()('b-7');
  assert.deepEqual(got, ['a-8', 'tail-lost', 'b-6', 'b-7']);
});

test('a message of the lost tail that came first is reported, and what follows is delivered', () => {
  const { got, open } = reader('a-5');
  const [lagging, next] = [open(), open()];
  lagging('a-6');
  assert.throws(() => next('b-6'), /behind/);
  open()(reset('a-5'), 'b-6');
  lagging('a-7');
  assert.deepEqual(got, ['a-6', 'tail-lost', 'b-6']);
});

test('a reset that another transport has reported already changes nothing', () => {
  const { got, open, head } = reader('a-8');
  const [one, two, three] = [open(), open(), open()];
  one(reset('a-5'), 'b-6');
  two(reset('a-5'), 'b-6', 'b-7');
  assert.deepEqual([got, head()], [['tail-lost', 'b-6', 'b-7'], 'b-7']);
  const late = open();
  open()(reset('f-0', 'unknown-epoch'), 'f-1');
  late(reset('f-0', 'unknown-epoch'), 'f-1');
  assert.throws(() => three(reset('a-5')), /behind/);
  assert.deepEqual(got.slice(3), ['unknown-epoch', 'f-1']);
});

test('a transport that is in another log than the reader is behind', () => {
  const { got, open, head } = reader('a-8');
  const [one, two, three] = [open(), open(), open()];
  open()('a-9', { type: 'gap', from: 'a-9', cursor: 'c-20', missed: 11 });
  assert.throws(() => one(reset('f-3', 'unknown-epoch')), /behind/);
  assert.throws(() => two('a-9', 'b-10'), /behind/);
  assert.throws(() => three('a-9', 'b-21'), /behind/, 'the number alone would fit');
  assert.deepEqual([got, head()], [['a-9', 'gap 11'], 'c-20']);
});

test('a log that comes back is followed', () => {
  const { got, open } = reader('f-3');
  open()(reset('g-0', 'unknown-epoch'), 'g-1', reset('f-2', 'unknown-epoch'), 'f-3');
  open()(reset('f-2', 'ahead-of-log'), 'f-3');
  assert.deepEqual(got, ['unknown-epoch', 'g-1', 'unknown-epoch', 'f-3', 'ahead-of-log', 'f-3']);
});

test('a reset is about one of several channels', () => {
  const { got, open, head } = reader('a-8.f-2');
  const lagging = open();
  open()('a-8.f-3');
  lagging(reset('a-5.f-2'));
  assert.equal(head(), 'a-5.f-3', 'a transport that lags in the other channel does not move it back');
  lagging('b-6.f-2', 'b-6.f-3', 'b-6.f-4', 'b-6.g-5');
  assert.deepEqual(got, ['a-8.f-3', 'tail-lost', 'b-6.f-2', 'b-6.f-4', 'b-6.g-5']);
  const late = open();
  open()('b-6.h-6');
  late(reset('x-0.g-5', 'unknown-epoch'), 'x-1.g-5', 'x-1.h-6', 'x-1.h-7');
  assert.deepEqual(got.slice(5), ['b-6.h-6', 'unknown-epoch', 'x-1.g-5', 'x-1.h-7']);
});

test('the epochs of the last sixty-four failures are known, and no more are remembered', () => {
  const { got, open } = reader('e0x-1');
  const one = open();
  for (let n = 1; n <= 200; n++) one(`e${n}x-${n + 1}`);
  got.length = 0;
  for (let n = 199; n > 199 - 64; n--) open()(`e${n}x-202`);
  assert.deepEqual(got, []);
  // An older epoch is like a new one.
  open()('e135x-202');
  assert.deepEqual(got, ['e135x-202']);
});

/** Transports that the test holds: the last one of each name. */
function hands(...names) {
  const links = {};
  const transports = names.map((name) => ({
    name,
    run(link) {
      links[name] = link;
      return new Promise((_, reject) => (link.fail = reject));
    },
  }));
  return { links, transports };
}

test('a hop between transports neither repeats nor loses messages, also after a lost tail', async (t) => {
  const { links, transports } = hands('better', 'first');
  const sub = subscribeWith('http://example.invalid/c/x', {
    transports,
    since: 'a-3',
    tryBetter: 5,
    backoff: { min: 1, max: 2 },
  });
  t.after(() => sub.close());
  // The server answers, so a transport that fails twice is replaced by the next.
  const { fetch } = globalThis;
  t.after(() => (globalThis.fetch = fetch));
  globalThis.fetch = async () => Response.json({ messages: [], cursor: 'a-3' });
  const got = [];
  sub.on('message', (m) => got.push(`${m.data} ${m.transport}`)).on('gap', ({ reason }) => got.push(reason));
  await until('the first', () => {
    links.better?.fail(new Error('no'));
    return links.first;
  });
  const { first } = links;
  delete links.better;
  first.object({ type: 'hello', cursor: 'a-3' });
  await until('the better one is tried', () => links.better);
  await links.better.url({});
  first.object(message('a-4'));
  first.object(message('a-5'));
  for (const cursor of ['a-3', 'a-4', 'a-5', 'b-6'])
    links.better.object(cursor === 'a-3' ? { type: 'hello', cursor } : message(cursor));
  first.object(message('a-6'));
  assert.deepEqual(got, ['a-4 first', 'a-5 first', 'b-6 better']);
  links.better.object(message('b-7'));
  links.better.object(reset('b-6'));
  first.object(message('b-7'));
  links.better.object(message('c-7'));
  links.better.object(message('b-8'));
  assert.deepEqual(got.slice(3), ['b-7 better', 'tail-lost', 'c-7 better']);
  assert.equal(sub.cursor, 'c-7');
});

test('after a hole, the client asks again at its cursor', async (t) => {
  const { links, transports } = hands('one');
  const sub = subscribeWith('http://example.invalid/c/x', {
    transports,
    since: 'a-3',
    backoff: { min: 1, max: 2 },
  });
  t.after(() => sub.close());
  const [got, errors] = [[], []];
  sub.on('message', (m) => got.push(m.data)).on('error', ({ detail }) => errors.push(detail));
  await until('connected', () => links.one);
  const first = links.one;
  first.object({ type: 'hello', cursor: 'a-3' });
  first.object(message('a-5'));
  first.object(message('a-4'));
  assert.ok(first.signal.aborted);
  await until('connected again', () => links.one !== first);
  assert.equal(links.one.cursor, 'a-3');
  links.one.object(message('a-4'));
  links.one.object(message('a-5'));
  assert.deepEqual([got, errors], [['a-4', 'a-5'], ['a hole in the feed']]);
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

/** A log as the server has it: which message is at each number, and in which epoch. */
class Log {
  constructor(world, parent, head = 0) {
    Object.assign(this, { world, epoch: `e${world.epochs++}z`, earliest: 1 });
    this.places = parent ? parent.places.slice(0, head + 1) : [{ cursor: `${this.epoch}-0` }];
    if (parent) this.earliest = Math.min(parent.earliest, head + 1);
  }

  get head() {
    return this.places.length - 1;
  }

  publish() {
    const cursor = `${this.epoch}-${this.head + 1}`;
    // No two messages have the same cursor, so a cursor is the name of a message.
    this.world.after.set(cursor, this.places.at(-1).cursor);
    this.places.push({ cursor });
  }

  /** What a reader at this cursor gets next: an object of this channel alone, and its number. */
  next(cursor) {
    const [epoch, number] = [cursor.split('-')[0], Number(cursor.split('-')[1])];
    const known = this.places.findLastIndex((place) => place.cursor.split('-')[0] === epoch);
    const at = (n, object) => ({ n, object: { ...object, cursor: this.places[n].cursor } });
    const kept = this.earliest - 1;
    if (known < 0) return at(kept, reset('', 'unknown-epoch'));
    if (this.places[number]?.cursor !== cursor)
      return at(Math.max(known, kept), reset('', epoch === this.epoch ? 'ahead-of-log' : 'tail-lost'));
    if (number < kept) return at(kept, { type: 'gap', from: cursor, missed: kept - number });
    return number < this.head ? at(number + 1, message('')) : undefined;
  }
}

/** Lets several transports read channels whose server fails, and checks what a reader gets. */
function play(seed, channels) {
  const chance = random(seed);
  const pick = (n) => Math.floor(chance() * n);
  /** The number of epochs, and for each message the one before it. */
  const world = { epochs: 0, after: new Map() };
  const logs = Array.from({ length: channels }, () => new Log(world));
  let problem;
  const check = (holds, what) => (problem ??= holds ? undefined : new Error(what));
  const it = delivery({ since: logs.map(({ places }) => places[0].cursor).join('.') }, () => false);
  /** For each channel: the last message, whether a report came after it, and what is lost. */
  const states = logs.map((log) => ({
    last: log.places[0].cursor,
    isReported: false,
    delivered: new Set(),
    lost: new Set(),
  }));
  /** The channel of the object that is delivered, and the log that it is from. */
  let [current, log] = [];
  it.listeners.message.add(({ cursor }) => {
    const [state, name] = [states[current], cursor.split('.')[current]];
    check(!state.delivered.has(name), `${name} is delivered twice`);
    check(!state.lost.has(name), `${name} is delivered after its loss was reported`);
    state.delivered.add(name);
    check(state.isReported || world.after.get(name) === state.last, `something is lost before ${name}`);
    Object.assign(state, { last: name, isReported: false });
  });
  it.listeners.gap.add(({ reason }) => {
    const state = states[current];
    state.isReported = true;
    // The reader begins anew in a log that does not know its epoch, and may get all of it again.
    if (reason === 'unknown-epoch') Object.assign(state, { delivered: new Set(), lost: new Set() });
    // The messages of this epoch that are not in the log that reports it are lost.
    const epoch = it.head().split('.')[current].split('-')[0];
    if (reason === 'tail-lost')
      for (const name of world.after.keys())
        if (name.startsWith(`${epoch}-`) && !log.places.some(({ cursor }) => cursor === name))
          state.lost.add(name);
  });
  const open = () => ({ logs: [...logs], seen: it.head() });
  /** A transport passes on one object of a random channel. Returns whether it had one. */
  const step = (transport, i) => {
    const seen = transport.seen.split('.');
    const next = transport.logs[i].next(seen[i]);
    if (!next) return false;
    seen[i] = next.object.cursor;
    [current, log] = [i, transport.logs[i]];
    const { seen: before } = transport;
    transport.seen = seen.join('.');
    try {
      it.take({ ...next.object, cursor: transport.seen }, 'mine', before);
    } catch (error) {
      // An attempt that failed asks again.
      assert.match(error.message, /hole|behind/);
      Object.assign(transport, open());
    }
    return true;
  };
  const transports = [open(), open(), open()];
  for (let n = 0; n < 400; n++) {
    const i = pick(channels);
    const what = chance();
    if (what < 0.3) logs[i].publish();
    else if (what < 0.36) {
      // The server stops and loses a tail, or nothing. Open transports still have the old log.
      logs[i] = new Log(world, logs[i], Math.max(0, logs[i].head - pick(4)));
    } else if (what < 0.37) logs[i] = new Log(world);
    else if (what < 0.4) logs[i].earliest += pick(logs[i].head - logs[i].earliest + 2);
    else if (what < 0.5) transports[pick(3)] = open();
    else step(transports[pick(3)], i);
  }
  const last = open();
  for (let i = 0; i < channels; i++) while (step(last, i));
  const end = logs.map(({ places }) => places.at(-1).cursor).join('.');
  check(it.head() === end, `the reader is at ${it.head()}, and not at the head ${end}`);
  if (problem) throw problem;
}

test('with random failures of the server and lagging transports, the law of the channel holds', () => {
  for (const channels of [1, 2, 3])
    for (let seed = 0; seed < 200; seed++) {
      try {
        play(seed, channels);
      } catch (error) {
        error.message = `${channels} channels, seed ${seed}: ${error.message}`;
        throw error;
      }
    }
});
