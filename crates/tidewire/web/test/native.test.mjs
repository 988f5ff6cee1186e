// The browser's own EventSource, WebSocket and fetch with the server.
// Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { launch, openPage } from './browser.mjs';
import { test, until } from './deadline.mjs';
import { end, post as postTo, remove, startProxy, startServer } from './server.mjs';

let server, proxy, browser;

before(async () => {
  // A debug build needs some seconds for ten megabytes, which must not count as silence.
  server = await startServer('--heartbeat', '60', '--max-message', '16777216', '--retain-bytes', '67108864');
  proxy = await startProxy(server.base);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  proxy?.stop();
  server?.stop();
});

const post = (channel, body, options) => postTo(server.base, channel, body, options);

function page(t, base = proxy.base, context) {
  const empty = { broken: new Set(), requests: [], heads: [], down: [] };
  Object.assign(proxy, { mode: 'pass', holdFrom: null, ...empty });
  return openPage(t, browser, `${base}/tidewire.js`, context);
}

/** Opens an EventSource in the page, and records its events in `got`. */
const listen = (p, url, init) =>
  p.evaluate(
    ([url, init]) => {
      globalThis.got = [];
      globalThis.states = [];
      globalThis.source = new EventSource(url, init);
      source.onopen = () => states.push('open');
      source.onerror = () => states.push(source.readyState === EventSource.CLOSED ? 'closed' : 'again');
      for (const type of ['message', 'named', 'gap', 'reset', 'envelope', 'end', 'deleted'])
        source.addEventListener(type, (e) => got.push([type, e.data, e.lastEventId]));
    },
    [url, init],
  );

test('an EventSource gets lines, names and ids as published', async (t) => {
  const p = await page(t);
  const first = await post('source', 'one\n\ntwo\n three');
  const second = await post('source', '', { query: '?event=named' });
  const third = await post('source', 'a\rb\r\nc\r', { query: '?event=named' });
  const fourth = await post('source', ':comment\nid: 7\ndata: x \u2028 é 🌊');
  const fifth = await post('source', '\ufeffa\0b\u0085');
  const sixth = await post('source', new Uint8Array([0xff, 13]), { query: '?event=named' });
  await listen(p, '/c/source?feed=sse&since=earliest');
  await until('six events', () => p.evaluate(() => got.length === 6));
  const got = await p.evaluate(() => got);
  assert.deepEqual(got[0], ['message', 'one\n\ntwo\n three', first]);
  assert.deepEqual(got[1], ['named', '', second]);
  assert.deepEqual(
    got[2],
    ['named', 'a\nb\nc\n', third],
    'every kind of line end becomes LF, and the name stays',
  );
  assert.deepEqual(got[3], ['message', ':comment\nid: 7\ndata: x \u2028 é 🌊', fourth]);
  assert.deepEqual(got[4], ['message', '\ufeffa\0b\u0085', fifth]);
  assert.deepEqual(
    [got[5][0], got[5][2]],
    ['envelope', sixth],
    'a payload that is not text arrives as an object',
  );
  assert.equal(JSON.parse(got[5][1]).event, 'named');
});

test('an EventSource with the id of another server gets a reset, and continues', async (t) => {
  const p = await page(t);
  const last = await post('foreign', 'kept');
  // With the parameter of a polyfill, because a page cannot set the field Last-Event-ID.
  await listen(p, '/c/foreign?feed=sse&lastEventId=42');
  await until('the message', () => p.evaluate(() => got.at(-1)?.[1] === 'kept'));
  const got = await p.evaluate(() => got);
  assert.deepEqual(
    got.map(([type]) => type),
    ['reset', 'message'],
  );
  assert.equal(JSON.parse(got[0][1]).reason, 'unknown-epoch');
  assert.equal(got[1][2], last);
});

test('an EventSource reconnects after the retry time, with its last event id', async (t) => {
  const p = await page(t);
  const last = await post('retry', 'one');
  await listen(p, '/c/retry?feed=sse&since=earliest');
  await until('the first', () => p.evaluate(() => got.length === 1));
  const asked = Number(/\nretry: (\d+)\n/.exec(Buffer.concat(proxy.down).toString())[1]);
  assert.ok(asked >= 1000, `retry: ${asked}`);
  proxy.heads.length = 0;
  const cutAt = performance.now();
  proxy.cut();
  await post('retry', 'two');
  const again = await until('another request', () =>
    proxy.heads.find((head) => head.includes('/c/retry?feed=sse')),
  );
  assert.ok(
    performance.now() - cutAt >= asked * 0.9,
    `came back after ${performance.now() - cutAt} ms, was asked to wait ${asked}`,
  );
  assert.match(again, new RegExp(`\nLast-Event-ID: ${last}\r\n`, 'i'));
  await until('the second', () => p.evaluate(() => got.length === 2));
  assert.deepEqual(await p.evaluate(() => [got[1][1], states]), ['two', ['open', 'again', 'open']]);
});

/** The heads of the requests for a channel, after a moment in which a request would have come. */
async function requestsFor(channel) {
  const mine = () => proxy.heads.filter((head) => head.startsWith(`GET /c/${channel}?feed=sse`));
  const { length } = mine();
  for (let i = 0; i < 20; i++) await (await fetch(`${proxy.base}/c/other`)).text();
  assert.equal(mine().length, length, 'it asks again');
  return mine();
}
const isClosed = (p) => until('closed', () => p.evaluate(() => source.readyState === EventSource.CLOSED));
const lastId = (head) => /\nLast-Event-ID: (\S+)\r/i.exec(`${head}\r`)?.[1];

for (const last of ['the last message', '']) {
  const how = last ? 'with' : 'without';
  test(`an EventSource stops at the end of a channel, ${how} a last message`, async (t) => {
    const p = await page(t);
    const channel = `finite/${how}`;
    const first = await post(channel, 'one');
    await listen(p, `/c/${channel}?feed=sse&since=earliest`);
    await until('the first', () => p.evaluate(() => got.length === 1));
    const cursor = await end(server.base, channel, last);
    await isClosed(p);
    const got = await p.evaluate(() => got);
    assert.deepEqual(
      got.map(([type, data]) => [type, type === 'end' ? JSON.parse(data) : data]),
      [['message', 'one'], ...(last ? [['message', last]] : []), ['end', { type: 'end', cursor }]],
    );
    assert.deepEqual([got[0][2], got.at(-1)[2]], [first, cursor]);
    // After the body has ended, the browser asks again with the cursor of the end, and gets a 204.
    const asked = await requestsFor(channel);
    assert.deepEqual([asked.length, lastId(asked[1])], [2, cursor]);
    assert.ok(Buffer.concat(proxy.down).includes('HTTP/1.1 204 '));
    assert.deepEqual(await p.evaluate(() => states), ['open', 'again', 'closed']);

    // A page that has stored the cursor of the end asks once.
    proxy.heads.length = 0;
    await listen(p, `/c/${channel}?feed=sse&since=${cursor}`);
    await isClosed(p);
    assert.equal((await requestsFor(channel)).length, 1);
    assert.deepEqual(await p.evaluate(() => [got, states]), [[], ['closed']]);
  });
}

test('an EventSource that is cut between the last message and the end gets the end, and stops', async (t) => {
  const p = await page(t);
  const channel = 'finite/cut';
  await listen(p, `/c/${channel}?feed=sse&since=earliest`);
  await until('open', () => p.evaluate(() => states.length === 1));
  proxy.holdFrom = 'event: end';
  const cursor = await end(server.base, channel, 'the last message');
  await until('the last message', () => p.evaluate(() => got.length === 1));
  const last = await p.evaluate(() => got[0][2]);
  assert.notEqual(last, cursor);
  proxy.holdFrom = null;
  proxy.cut();
  await isClosed(p);
  assert.deepEqual(await p.evaluate(() => got.map(([type, , id]) => [type, id])), [
    ['message', last],
    ['end', cursor],
  ]);
  assert.deepEqual((await requestsFor(channel)).map(lastId), [undefined, last, cursor]);
});

test('an EventSource stops when its channel is deleted', async (t) => {
  const p = await page(t);
  const channel = 'finite/deleted';
  const last = await post(channel, 'one');
  await listen(p, `/c/${channel}?feed=sse&since=earliest`);
  await until('the first', () => p.evaluate(() => got.length === 1));
  await remove(server.base, channel);
  await isClosed(p);
  const [, deleted] = await p.evaluate(() => got);
  assert.deepEqual([deleted[0], JSON.parse(deleted[1]), deleted[2]], ['deleted', { type: 'deleted' }, last]);
  assert.deepEqual((await requestsFor(channel)).map(lastId), [undefined, last]);
});

test('an EventSource gets a gap for messages that are no longer kept', async (t) => {
  const small = await startServer('--retain-messages', '3');
  t.after(() => small.stop());
  const p = await page(t, small.base);
  const first = await postTo(small.base, 'gap', '0');
  for (let i = 1; i < 10; i++) await postTo(small.base, 'gap', String(i));
  await listen(p, `/c/gap?feed=sse&since=${first}`);
  await until('the last', () => p.evaluate(() => got.at(-1)?.[1] === '9'));
  const got = await p.evaluate(() => got);
  assert.equal(got[0][0], 'gap');
  assert.equal(JSON.parse(got[0][1]).missed, 6);
  assert.deepEqual(
    got.slice(1).map(([, data]) => data),
    ['7', '8', '9'],
  );
});

test('an EventSource of another origin opens only if the origin is allowed', async (t) => {
  const origin = server.base;
  const [listed, any, none] = await Promise.all([
    startServer('--allow-origin', origin),
    startServer('--allow-origin', '*'),
    startServer(),
  ]);
  t.after(() => [listed, any, none].forEach((one) => one.stop()));
  const p = await page(t, origin);
  for (const [target, withCredentials, allowed] of [
    [listed, false, true],
    [listed, true, true],
    [any, false, true],
    [any, true, false],
    [none, false, false],
    [none, true, false],
  ]) {
    await postTo(target.base, 'cross', 'x');
    await listen(p, `${target.base}/c/cross?feed=sse&since=earliest`, { withCredentials });
    await until('an outcome', () => p.evaluate(() => got.length > 0 || states.includes('closed')));
    assert.equal(
      await p.evaluate(() => got.length > 0),
      allowed,
      JSON.stringify([[listed, any, none].indexOf(target), withCredentials]),
    );
    await p.evaluate(() => source.close());
  }
});

test('cookies are sent to another origin only with credentials', async (t) => {
  const listed = await startServer('--allow-origin', server.base);
  const before = await startProxy(listed.base);
  t.after(() => {
    before.stop();
    listed.stop();
  });
  const p = await page(t, server.base);
  await p.context().addCookies([{ name: 'who', value: 'me', url: before.base }]);
  await postTo(listed.base, 'cookie', 'x');
  const ways = {
    sse: (credentials) =>
      listen(p, `${before.base}/c/cookie?feed=sse&since=earliest`, {
        withCredentials: credentials === 'include',
      }),
    fetch: (credentials) =>
      p.evaluate(
        ([url, credentials]) => fetch(url, { credentials }).then((answer) => answer.text()),
        [`${before.base}/c/cookie`, credentials],
      ),
    client: (credentials) =>
      p.evaluate(
        async ([base, credentials]) => {
          const { subscribe } = await import(`${base}/tidewire.js`);
          for (const transport of ['sse', 'fetch'])
            for await (const _ of subscribe(`${base}/c/cookie`, {
              transports: [transport],
              since: 'earliest',
              credentials,
            }))
              break;
        },
        [before.base, credentials],
      ),
  };
  for (const [way, run] of Object.entries(ways)) {
    for (const credentials of ['include', 'same-origin']) {
      before.heads.length = 0;
      await run(credentials);
      const heads = await until('the request', () => {
        const heads = before.heads.filter((head) => head.includes('/c/cookie'));
        return heads.length && heads;
      });
      for (const head of heads)
        assert.equal(
          /\ncookie: who=me/i.test(head),
          credentials === 'include',
          `${way}, ${credentials}: ${head}`,
        );
      await p.evaluate(() => globalThis.source?.close());
    }
  }
});

/** Opens a WebSocket in the page. Resolves to its protocol and extensions, or to its close code. */
const open = (p, url, protocols) =>
  p.evaluate(
    ([url, protocols]) =>
      new Promise((resolve) => {
        // A new list, without messages of an earlier socket.
        const mine = (globalThis.got = []);
        globalThis.socket = new WebSocket(url, protocols);
        globalThis.over = new Promise(
          (resolve) => (socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean })),
        );
        socket.binaryType = 'arraybuffer';
        socket.onmessage = ({ data }) => mine.push(data);
        socket.onopen = () => resolve({ protocol: socket.protocol, extensions: socket.extensions });
        over.then(({ code }) => resolve({ code }));
      }),
    [url.replace('http', 'ws'), protocols ?? []],
  );

test('a bare WebSocket carries text and bytes in both directions', async (t) => {
  const p = await page(t);
  await post('bare', 'from the log');
  await open(p, `${proxy.base}/c/bare?since=earliest`);
  await p.evaluate(() => {
    socket.send('é 🌊');
    socket.send('');
    socket.send(new Uint8Array([0, 255, 128]));
  });
  await until('what it sent itself', () => p.evaluate(() => got.length === 4));
  const got = await p.evaluate(() =>
    got.map((data) => (typeof data === 'string' ? data : [...new Uint8Array(data)])),
  );
  assert.deepEqual(got, ['from the log', 'é 🌊', '', [0, 255, 128]]);
});

test('a WebSocket carries ten megabytes as text and as bytes, in both directions', async (t) => {
  const p = await page(t);
  await open(p, `${proxy.base}/c/large`);
  const same = await p.evaluate(async () => {
    const bytes = new Uint8Array(10 << 20);
    for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
    // Not UTF-8, which would come back as text.
    bytes[0] = 255;
    const text = 'abcdefghij'.repeat(1 << 20);
    const equal = [];
    for (const sent of [bytes, text]) {
      got.length = 0;
      socket.send(sent);
      const back = await new Promise((resolve, reject) => {
        socket.onmessage = ({ data }) => resolve(data);
        over.then(({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`)));
      });
      if (typeof sent === 'string') equal.push(back === sent);
      else {
        const came = new Uint8Array(back);
        equal.push(came.length === sent.length && came.every((byte, i) => byte === sent[i]));
      }
    }
    return equal;
  });
  assert.deepEqual(same, [true, true]);
});

test('close codes of the page and of the server arrive', async (t) => {
  const small = await startServer('--retain-messages', '3', '--max-message', '1000');
  t.after(() => small.stop());
  const p = await page(t, small.base);
  for (const [code, reason] of [
    [1000, ''],
    [4321, 'enough é'],
  ]) {
    await open(p, `${small.base}/c/code`);
    assert.deepEqual(
      await p.evaluate(([code, reason]) => (socket.close(code, reason), over), [code, reason]),
      { code, reason: '', wasClean: true },
    );
  }
  await open(p, `${small.base}/c/code`);
  const large = await p.evaluate(() => (socket.send('x'.repeat(2000)), over));
  assert.equal(large.code, 1009);
  assert.ok(large.wasClean && large.reason, JSON.stringify(large));

  let first;
  for (let i = 0; i < 10; i++) {
    const cursor = await postTo(small.base, 'lost', String(i));
    first ??= cursor;
  }
  await open(p, `${small.base}/c/lost?since=${first}`);
  const gone = await p.evaluate(() => over);
  assert.equal(gone.code, 4410);
  await open(p, `${small.base}/c/lost?since=${gone.reason}`);
  await until('what is left', () => p.evaluate(() => got.join() === '7,8,9'));

  small.stop('SIGTERM');
  assert.equal((await p.evaluate(() => over)).code, 1012);
});

test('a bare WebSocket is closed at the end of its channel, and when it is deleted', async (t) => {
  const p = await page(t);
  // The proxy passes the end of the connection on at once, so whether it is clean is not said.
  const closed = () => p.evaluate(() => over.then(({ code, reason }) => [code, reason]));
  await post('bare/end', 'one');
  await open(p, `${proxy.base}/c/bare/end?since=earliest`);
  await end(server.base, 'bare/end', 'two');
  assert.deepEqual(await closed(), [1000, 'the channel has ended']);
  assert.deepEqual(await p.evaluate(() => got), ['one', 'two']);
  await post('bare/deleted', 'one');
  await open(p, `${proxy.base}/c/bare/deleted?since=earliest`);
  await remove(server.base, 'bare/deleted');
  assert.deepEqual(await closed(), [4404, 'the channel was deleted']);
  assert.equal((await open(p, `${proxy.base}/c/bare/deleted`)).code, 1006);
});

test('the server chooses the subprotocol from the offers of the page', async (t) => {
  const p = await page(t);
  const bare = await open(p, `${proxy.base}/c/protocol`);
  assert.equal(bare.protocol, '');
  assert.equal((await open(p, `${proxy.base}/c/protocol`, ['other', 'tidewire.v1'])).protocol, 'tidewire.v1');
  await p.evaluate(() => socket.send(JSON.stringify({ type: 'publish', id: 1, data: 'x' })));
  await until('the answer', () => p.evaluate(() => got.some((text) => JSON.parse(text).type === 'ack')));
  assert.equal(await p.evaluate(() => JSON.parse(got[0]).type), 'hello');
  assert.equal(
    (await open(p, `${proxy.base}/c/protocol`, ['other'])).code,
    1006,
    'with only an unknown subprotocol, the WebSocket does not open',
  );
});

test('permessage-deflate is negotiated and used', async (t) => {
  const p = await page(t);
  for (const protocols of [[], ['tidewire.v1']]) {
    assert.match((await open(p, `${proxy.base}/c/deflate`, protocols)).extensions, /^permessage-deflate/);
    proxy.down.length = 0;
    const text = 'tide goes out, tide comes in; '.repeat(5000);
    await post('deflate', text);
    await until('the message', () =>
      p.evaluate(
        (text) => got.some((data) => data === text || (data[0] === '{' && JSON.parse(data).data === text)),
        text,
      ),
    );
    const bytes = Buffer.concat(proxy.down).length;
    assert.ok(bytes < text.length / 10, `${text.length} bytes came in ${bytes}`);
    await p.evaluate(() => (socket.close(), over));
  }
});

test('a WebSocket of another origin opens only if the origin is allowed', async (t) => {
  const [listed, none] = await Promise.all([startServer('--allow-origin', server.base), startServer()]);
  t.after(() => [listed, none].forEach((one) => one.stop()));
  const p = await page(t, server.base);
  assert.equal((await open(p, `${listed.base}/c/x`, ['tidewire.v1'])).protocol, 'tidewire.v1');
  assert.equal((await open(p, `${none.base}/c/x`, ['tidewire.v1'])).code, 1006);
});

test('fetch reads a stream piece by piece', async (t) => {
  const p = await page(t);
  await p.evaluate(async () => {
    globalThis.got = [];
    const { body } = await fetch('/c/pieces?feed=stream');
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    (async () => {
      for (let rest = ''; ; ) {
        const { done, value } = await reader.read();
        if (done) return;
        const lines = (rest + value).split('\n');
        rest = lines.pop();
        got.push(...lines.filter(Boolean).map((line) => JSON.parse(line)));
      }
    })();
  });
  await until('the hello', () => p.evaluate(() => got.length === 1));
  // Each message is published when the one before has arrived. So no buffer holds one back.
  for (let i = 0; i < 10; i++) {
    await post('pieces', String(i));
    await until(`piece ${i}`, () => p.evaluate((i) => got.at(-1).data === String(i), i));
  }
});

test('six streams use all connections to a host, and tabs that share use one', async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const p = await page(t, proxy.base, context);
  await p.evaluate(() => {
    globalThis.heard = 0;
    globalThis.sources = Array.from({ length: 6 }, () => new EventSource('/c/six?feed=sse'));
    for (const source of sources) source.onmessage = () => heard++;
  });
  await until('six streams', () =>
    p.evaluate(() => sources.every((source) => source.readyState === EventSource.OPEN)),
  );
  await p.evaluate(() => {
    globalThis.answered = false;
    fetch('/c/six?seventh').then(() => (answered = true));
  });
  // All six get the message, so browser and server are active. The seventh request is not even
  // sent.
  await post('six', 'x');
  await until('all hear', () => p.evaluate(() => heard === 6));
  assert.equal(await p.evaluate(() => answered), false);
  assert.ok(!proxy.requests.some((line) => line.includes('seventh')));
  await p.evaluate(() => sources.pop().close());
  await until('the seventh', () => p.evaluate(() => answered));
  await p.evaluate(() => sources.forEach((source) => source.close()));

  proxy.requests.length = 0;
  const tabs = [p];
  while (tabs.length < 8) tabs.push(await openPage(t, browser, `${proxy.base}/tidewire.js`, context));
  for (const tab of tabs) {
    await tab.evaluate(async () => {
      const { subscribe } = await import('/tidewire.js');
      globalThis.got = [];
      globalThis.sub = subscribe('/c/shared', { shared: true, since: 'earliest', transports: ['sse'] });
      sub.on('message', (m) => got.push(m.data));
    });
    await until('ready', () => tab.evaluate(() => sub.state === 'open'));
  }
  await post('shared', 'x');
  for (const tab of tabs) await until('the message', () => tab.evaluate(() => got.join() === 'x'));
  assert.equal(
    proxy.requests.filter((line) => line.includes('feed=sse')).length,
    1,
    'one stream for eight tabs',
  );
  for (const tab of tabs)
    assert.equal(await tab.evaluate(() => fetch('/c/six').then((answer) => answer.status)), 200);
});
