// permessage-deflate between Chromium and tidewire-ws (the example ws_echo). Run with
// `cargo xtask browser`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { test } from './deadline.mjs';
import { firstLine } from './server.mjs';

let echo, wire, browser;

before(async () => {
  const folder = process.env.TIDEWIRE_EXAMPLES;
  if (!folder) throw new Error('TIDEWIRE_EXAMPLES is not set; run these tests with `cargo xtask browser`');
  echo = spawn(join(folder, 'ws_echo'), ['127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await firstLine(echo);
  wire = await listenIn(Number(line.match(/:(\d+)$/)[1]));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
});

after(async () => {
  await browser?.close();
  wire?.server.close();
  echo?.kill('SIGKILL');
});

/** Starts a proxy that keeps a copy of the bytes of each direction. */
async function listenIn(port) {
  const heard = { up: [], down: [] };
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    client.on('data', (bytes) => heard.up.push(bytes)).pipe(upstream);
    upstream.on('data', (bytes) => heard.down.push(bytes)).pipe(client);
    for (const socket of [client, upstream])
      socket.on('error', () => [client, upstream].forEach((s) => s.destroy()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, heard, url: `ws://127.0.0.1:${server.address().port}/` };
}

/**
 * The data messages of one direction: the opcode, whether compressed, and the length on the wire.
 */
function messages(pieces) {
  const bytes = Buffer.concat(pieces);
  const found = [];
  for (let at = bytes.indexOf('\r\n\r\n') + 4; at + 2 <= bytes.length; ) {
    const [first, second] = [bytes[at], bytes[at + 1]];
    let [length, header] = [second & 0x7f, 2];
    if (length === 126) [length, header] = [bytes.readUInt16BE(at + 2), 4];
    else if (length === 127) [length, header] = [Number(bytes.readBigUInt64BE(at + 2)), 10];
    const opcode = first & 0x0f;
    if (opcode === 1 || opcode === 2) found.push({ opcode, compressed: (first & 0x40) !== 0, length });
    else if (opcode === 0) found.at(-1).length += length;
    at += header + (second & 0x80 ? 4 : 0) + length;
  }
  return found;
}

test('Chromium and tidewire-ws agree on permessage-deflate, and both compress', async () => {
  const page = await browser.newPage();
  const result = await page.evaluate(async (url) => {
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    await new Promise((resolve, reject) =>
      Object.assign(socket, { onopen: resolve, onerror: () => reject(new Error('not opened')) }),
    );
    const ask = (message) =>
      new Promise((resolve, reject) => {
        socket.onmessage = (event) => resolve(event.data);
        socket.onclose = (event) => reject(new Error(`closed with ${event.code}`));
        socket.send(message);
      });
    const noise = Uint32Array.from(
      { length: 5000 },
      (_, i) => Math.imul(i + 1, 2654435761) ^ Math.imul(i * i, 40503),
    );
    const texts = ['tide '.repeat(1000), 'κόσμε 🌊 '.repeat(500), '', 'short', 'x'.repeat(3_000_000)];
    const same = [];
    for (const text of texts) same.push((await ask(text)) === text);
    const back = new Uint32Array(await ask(noise.buffer));
    same.push(back.length === noise.length && back.every((word, i) => word === noise[i]));
    // A message that does not compress must not corrupt later ones.
    for (const text of texts) same.push((await ask(text)) === text);
    socket.onclose = null;
    const closed = new Promise(
      (resolve) => (socket.onclose = (event) => resolve([event.code, event.wasClean])),
    );
    socket.close(1000, 'done');
    return { extensions: socket.extensions, same, closed: await closed };
  }, wire.url);
  assert.match(result.extensions, /^permessage-deflate\b/);
  assert.deepEqual(result.same, Array(11).fill(true), 'every message came back unchanged');
  assert.deepEqual(result.closed, [1000, true]);

  const [up, down] = [messages(wire.heard.up), messages(wire.heard.down)];
  assert.deepEqual([up.length, down.length], [11, 11]);
  // The long and regular messages are compressed to a small part, in both directions.
  for (const direction of [up, down]) {
    for (const [index, plain] of [
      [0, 5000],
      [4, 3_000_000],
      [6, 5000],
      [10, 3_000_000],
    ]) {
      const { compressed, length } = direction[index];
      assert.ok(compressed && length < plain / 10, `message ${index}: ${JSON.stringify(direction[index])}`);
    }
  }
  // tidewire-ws does not compress short messages and messages that do not become smaller.
  assert.deepEqual(
    [3, 5].map((index) => down[index].compressed),
    [false, false],
  );
});
