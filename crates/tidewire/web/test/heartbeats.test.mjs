// Every client in a browser reads across a heartbeat, on one channel and on several.
// Run with `cargo xtask browser`.
//
// The server sends a message, then a heartbeat, then two more messages. Each client has a proxy,
// which proves that bytes came between the messages: nobody publishes then, so they are heartbeats.
// The client must deliver the messages, each once, and nothing else.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { launch, openPage } from './browser.mjs';
import { shown, test, until } from './deadline.mjs';
import { post, startProxy, startServer } from './server.mjs';
import { FIRST, MORE, visit } from './visit.mjs';

let server, browser;

before(async () => {
  // The page reads from the proxies, which have other origins.
  server = await startServer(
    ...['--heartbeat', '1', '--comet', '--playground', 'on', '--allow-origin', '*'],
  );
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.stop();
});

/** What the heartbeat of each feed is on the wire. */
const COMMENT = '\r\n:\n\n\r\n';
const EMPTY_EVENT = '\r\ndata:\n\n\r\n';
const EMPTY_LINE = '1\r\n\n\r\n';
const EMPTY_PART = '\r\n\r\n\r\n--tidewire\r\n\r\n';
const PING = '\x89\x00';
const PING_AND_OBJECT = `${PING}\x81\x14{"type":"heartbeat"}`;
/** A poll has no heartbeat, but those of the other clients pass meanwhile. */
const NONE = undefined;

/** The channels, and the channel of each message. */
const CHANNELS = { one: ['one', 'one', 'one'], 'a,b': ['a', 'b', 'a'] };
const TEXTS = ['before', 'after', 'end'];

/** The clients: how one begins in the page, and its heartbeat. `say` records what it gets. */
const CLIENTS = {
  ...Object.fromEntries(
    Object.entries({
      websocket: PING_AND_OBJECT,
      sse: EMPTY_EVENT,
      fetch: EMPTY_LINE,
      longpoll: NONE,
      poll: NONE,
    }).map(([transport, heartbeat]) => [
      `tidewire.js, ${transport}`,
      {
        heartbeat,
        more: transport,
        begin: async (url, say, transport) => {
          const { subscribe } = await import('/tidewire.js');
          const sub = subscribe(url, { transports: [transport], since: 'earliest', pollInterval: 50 });
          sub.on('error', (failure) => say(`error ${JSON.stringify(failure)}`));
          sub.on('gap', (gap) => say(`gap ${JSON.stringify(gap)}`));
          sub.on('state', (state) => ['connecting', 'open'].includes(state) || say(`state ${state}`));
          sub.on('message', ({ data, channel }) => say(data, channel));
        },
      },
    ]),
  ),
  EventSource: {
    heartbeat: COMMENT,
    begin: (url, say) => {
      const source = new EventSource(`${url}?feed=sse&since=earliest`);
      source.onerror = () => say('error');
      for (const type of ['message', 'gap', 'reset', 'envelope', 'heartbeat'])
        source.addEventListener(type, ({ data }) => {
          // With several channels, the data is an object.
          if (type !== 'message') say(`${type} ${data}`);
          else if (data[0] === '{') say(JSON.parse(data).data, JSON.parse(data).channel);
          else say(data);
        });
    },
  },
  'EventSource, objects': {
    heartbeat: EMPTY_EVENT,
    begin: (url, say) => {
      const source = new EventSource(`${url}?feed=sse&objects=1&since=earliest`);
      source.onerror = () => say('error');
      source.onmessage = ({ data }) => {
        // A heartbeat is an event with empty data.
        if (!data) return;
        const { type, channel, data: text } = JSON.parse(data);
        if (type === 'message') say(text, channel);
        else if (type !== 'hello') say(data);
      };
    },
  },
  'WebSocket, bare': {
    heartbeat: PING,
    labels: false,
    begin: (url, say) => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}?since=earliest`);
      socket.onmessage = ({ data }) => say(data);
      socket.onclose = ({ code, reason }) => say(`closed ${code} ${reason}`);
    },
  },
  XMLHttpRequest: {
    heartbeat: EMPTY_LINE,
    begin: (url, say) => {
      let seen = 0;
      const xhr = new XMLHttpRequest();
      xhr.open('GET', `${url}?feed=xhr&since=earliest`);
      xhr.onerror = xhr.onload = ({ type }) => say(type);
      xhr.onprogress = () => {
        const end = xhr.responseText.lastIndexOf('\n') + 1;
        for (const line of xhr.responseText.slice(seen, end).split('\n')) {
          const { type, data, channel } = line.trim() ? JSON.parse(line) : { type: 'hello' };
          if (type === 'message') say(data, channel);
          else if (type !== 'hello') say(line);
        }
        seen = end;
      };
      xhr.send();
    },
  },
  multipart: {
    heartbeat: EMPTY_PART,
    begin: async (url, say) => {
      const { body } = await fetch(`${url}?feed=multipart&since=earliest`);
      const reader = body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = '\r\n'; ; ) {
        const { value, done } = await reader.read();
        if (done) return say('end');
        const parts = (text += value).split('\r\n--tidewire\r\n');
        text = parts.pop();
        for (const part of parts) {
          const content = part.slice(part.indexOf('\r\n\r\n') + 4).trim();
          const { type, data, channel } = content ? JSON.parse(content) : { type: 'hello' };
          if (type === 'message') say(data, channel);
          else if (type !== 'hello') say(content);
        }
      }
    },
  },
};

test('every client reads across a heartbeat', async (t) => {
  const page = await openPage(t, browser, `${server.base}/tidewire.js`);
  const clients = [];
  for (const channels of Object.keys(CHANNELS))
    for (const [name, { heartbeat, begin, more, labels = true }] of Object.entries(CLIENTS)) {
      const proxy = await startProxy(server.base);
      t.after(() => proxy.stop());
      const who = `${name} on ${channels}`;
      const url = `${proxy.base}/c/${channels}`;
      clients.push({ who, proxy, heartbeat, channels, labels: labels && channels !== 'one' });
      await page.evaluate(
        ([who, url, begin, more]) => {
          const got = ((globalThis.all ??= {})[who] = []);
          const say = (text, channel) => got.push(channel ? `${channel} ${text}` : text);
          const fail = (error) => say(`${error}`);
          globalThis.addEventListener('error', ({ error }) => fail(error), { once: true });
          Promise.resolve(eval(`(${begin})`)(url, say, more)).catch(fail);
        },
        [who, url, String(begin), more],
      );
    }

  /** What each client must have got of the first `n` messages. */
  const expected = (n) =>
    Object.fromEntries(
      clients.map(({ who, channels, labels }) => [
        who,
        TEXTS.slice(0, n).map((text, i) => (labels ? `${CHANNELS[channels][i]} ${text}` : text)),
      ]),
    );
  /** Publishes message `n`, and waits until each client has got as much. Compares what they got. */
  const publish = async (n) => {
    for (const of of Object.values(CHANNELS)) await post(server.base, of[n - 1], TEXTS[n - 1]);
    const has = () => page.evaluate(() => all);
    await until(
      `message ${n} at every client`,
      async () => Object.values(await has()).every((got) => got.length >= n),
      async () => Object.entries(await has()).flatMap(([who, got]) => (got.length < n ? [who, got] : [])),
    );
    assert.deepEqual(await has(), expected(n));
  };

  await publish(1);
  const marks = clients.map(({ proxy }) => proxy.down.length);
  const since = (i) => clients[i].proxy.down.slice(marks[i]);
  const got = (who) => page.evaluate((who) => all[who], who);
  const failures = [];
  for (const [i, { who, heartbeat }] of clients.entries()) {
    const came = () => Buffer.concat(since(i)).toString('latin1');
    const has = () => !heartbeat || came().includes(heartbeat);
    // The first piece may be the end of the message.
    const isOver = async () => has() || since(i).length > 3 || (await got(who)).length > 1;
    await until(`a heartbeat for ${who}`, isOver, came);
    if (!has()) failures.push(`${who}: no heartbeat ${JSON.stringify(heartbeat)}, but ${shown(came())}`);
  }
  assert.deepEqual(failures, [], `${failures.join('\n')}\n${JSON.stringify(await page.evaluate(() => all))}`);
  await publish(2);
  await publish(3);
  // Each client has its first connection only. Polls are requests of their own.
  for (const { who, proxy, heartbeat } of clients)
    if (heartbeat) assert.deepEqual(proxy.requests.length, 1, `${who} reconnected: ${proxy.requests}`);
});

test('a forever frame reads across a heartbeat', async (t) => {
  // The frame must be of the page's origin.
  const proxy = await startProxy(server.base);
  t.after(() => proxy.stop());
  const page = await openPage(t, browser, `${proxy.base}/tidewire.js`);
  await page.evaluate(() => {
    globalThis.got = [];
    globalThis.app = { on: (object) => object.type === 'hello' || got.push(object.data ?? object) };
    const frame = document.createElement('iframe');
    frame.onload = () => got.push('the end of the frame');
    frame.src = '/c/frame?feed=iframe&since=earliest&callback=app.on';
    document.body.append(frame);
  });
  const got = () => page.evaluate(() => got);
  const publish = async (n) => {
    await post(server.base, 'frame', TEXTS[n - 1]);
    await until(`message ${n}`, async () => (await got()).length >= n, got);
    assert.deepEqual(await got(), TEXTS.slice(0, n));
  };
  await publish(1);
  const mark = proxy.down.length;
  const came = () => Buffer.concat(proxy.down.slice(mark)).toString('latin1');
  await until('a heartbeat', () => came().includes(EMPTY_LINE) || proxy.down.length >= mark + 4, came);
  assert.ok(came().includes(EMPTY_LINE), `no heartbeat, but ${shown(came())}`);
  await publish(2);
  await publish(3);
});

test('the lanes of the playground read across heartbeats', async (t) => {
  const it = await visit(t, { server, browser });
  for (const id of MORE) await it.page.check(`#on-${id}`);
  for (const id of MORE) await it.until(id, 'connected', (lane) => lane.state === 'connected');
  const all = [...FIRST, ...MORE];
  await it.publish('before');
  for (const id of all) await it.until(id, 'before', (lane) => lane.texts.join() === 'before');
  // Nobody publishes, so each read of these lanes is a heartbeat, or the end of the message.
  const streams = ['sse', 'websocket', 'stream', 'xhr', 'multipart', 'iframe'];
  for (const id of streams) await it.page.click(`#lane-${id} .wire > summary`);
  const reads = (id) => it.page.locator(`#lane-${id} .read.down`).count();
  const before = Object.fromEntries(await Promise.all(streams.map(async (id) => [id, await reads(id)])));
  for (const id of streams)
    await until(`${id}: two reads after the message`, async () => (await reads(id)) >= before[id] + 2);
  /** Opens the newest read, and returns its notes. While it is open, the list does not change. */
  const newest = async (id) => {
    await it.page.locator(`#lane-${id} .read.down summary`).last().click();
    const open = it.page.locator(`#lane-${id} .read.down[open]`).first();
    const notes = await open.locator('.notes').first().textContent();
    await open.locator('summary').first().click();
    return notes;
  };
  for (const [id, name] of [
    ['sse', 'a comment: ignored, but it keeps the connection alive'],
    ['websocket', 'ping'],
    ['stream', 'a heartbeat: the connection is alive'],
  ])
    await until(`${id}: a heartbeat called ${name}`, async () => (await newest(id)).includes(name));
  await it.publish('after');
  for (const id of all) {
    await it.until(id, 'after', (lane) => lane.texts.join() === 'after,before');
    const row = await it.row(id);
    assert.deepEqual([row.messages, row['lost unreported'], row.reconnects], ['2', '0', '0'], id);
  }
});
