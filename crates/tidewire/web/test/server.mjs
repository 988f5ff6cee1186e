// The real server on a free port, and a proxy in front of it that can misbehave.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { within } from './deadline.mjs';

const BINARY = process.env.TIDEWIRE_BIN;

/** Resolves to the first line that a program prints. */
export async function firstLine(child) {
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece) => (text += piece));
  const lines = createInterface(child.stdout);
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`it ended before its first line (${code ?? signal}); its output is above`);
  });
  ended.catch(() => {});
  const line = Promise.race([once(lines, 'line'), ended]);
  return (await within(`the first line of ${child.spawnfile}`, line, () => text))[0];
}

/**
 * Starts the server, without the playground unless an option says so. Resolves to its base URL and
 * a function that ends it.
 */
export async function startServer(...options) {
  // The playground at / would make its own requests and connections.
  if (!options.includes('--playground')) options.push('--playground', 'off');
  if (!BINARY) throw new Error('TIDEWIRE_BIN is not set; run these tests with `cargo xtask browser`');
  const child = spawn(BINARY, ['--listen', '127.0.0.1:0', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await firstLine(child);
  const base = line.match(/http:\/\/\S+/)?.[0];
  if (!base) throw new Error(`the server did not print its address, but: ${line}`);
  return { base, stop: (signal = 'SIGKILL') => child.kill(signal) };
}

/** Publishes one message. Resolves to its cursor. */
export async function post(base, channel, body, { query = '', type } = {}) {
  const headers = type ? { 'Content-Type': type } : {};
  const payload = type ? body : new Blob([body]);
  const request = fetch(`${base}/c/${channel}${query}`, { method: 'POST', body: payload, headers });
  const answer = await within(`an answer to the message for ${channel}`, request);
  assert.equal(answer.status, 201);
  return (await within('the cursor', answer.json())).cursor;
}

/** Closes a channel, with a last message if there is a body. Resolves to the cursor of its end. */
export async function end(base, channel, body = '') {
  const request = fetch(`${base}/c/${channel}?close=1`, { method: 'POST', body: body && new Blob([body]) });
  const answer = await within(`an answer to the close of ${channel}`, request);
  const { closed, end } = await within('the end', answer.json());
  assert.ok(answer.ok && closed && end, `${answer.status} ${closed} ${end}`);
  return end;
}

/** Deletes a channel. */
export async function remove(base, channel) {
  const request = fetch(`${base}/c/${channel}`, { method: 'DELETE' });
  assert.equal((await within(`an answer to the deletion of ${channel}`, request)).status, 204);
}

/**
 * Starts a proxy in front of the server. A test may change `mode` at any time: `pass`, `buffer` (an
 * answer is held back until it ends), `stall` (nothing passes), `refuse` (a 503 that asks to wait
 * one second), `down` (connections are closed at once). Kinds of requests in `broken` are refused
 * with 403: `websocket`, `sse`, `stream`, `longpoll`, `poll`. A poll from `now` always passes: with
 * it, the client checks whether the server answers. `cut()` resets every connection.
 * If `holdFrom` is a text, a connection passes what comes before it, and nothing after.
 * `requests` has the request lines, `heads` the heads of the requests, and `down` the bytes from
 * the server.
 */
export async function startProxy(target) {
  const proxy = { mode: 'pass', broken: new Set(), requests: [], heads: [], down: [], sockets: new Set() };
  proxy.holdFrom = null;
  const { port, hostname } = new URL(target);
  const server = createServer((client) => {
    if (proxy.mode === 'down') return client.resetAndDestroy();
    proxy.sockets.add(client);
    const upstream = connect(Number(port), hostname);
    const end = () => {
      client.destroy();
      upstream.destroy();
      proxy.sockets.delete(client);
    };
    // Held bytes are sent later or never. No later byte may pass before them.
    const held = { up: [], down: [] };
    const pass = (to, kept, bytes) => {
      for (const earlier of kept.splice(0)) to.write(earlier);
      to.write(bytes);
    };
    client.on('data', (bytes) => {
      const head = bytes.toString('latin1');
      const line = /^([A-Z]+ \S+) HTTP\/1\.1\r\n/.exec(head)?.[1];
      if (line) {
        client.request = line;
        proxy.requests.push(line);
        proxy.heads.push(head.slice(0, head.indexOf('\r\n\r\n')));
      }
      const kind = /\nupgrade: websocket/i.test(head)
        ? 'websocket'
        : /^GET (?!\S*since=now&feed=poll)\S*[?&]feed=(\w+)/.exec(head)?.[1];
      const refuse = (fields) =>
        client.end(`HTTP/1.1 ${fields}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      if (proxy.mode === 'refuse') refuse('503 Service Unavailable\r\nRetry-After: 1');
      else if (line && proxy.broken.has(kind)) refuse('403 Forbidden');
      else if (proxy.mode === 'stall') held.up.push(bytes);
      else pass(upstream, held.up, bytes);
    });
    upstream.on('data', (bytes) => {
      proxy.down.push(bytes);
      // A proxy that buffers passes only complete answers on: short ones with a length, never a
      // stream.
      const isWhole = /content-length/i.test(bytes.toString('latin1'));
      const isBuffered = proxy.mode === 'buffer' && (held.down.length || !isWhole);
      const at = proxy.holdFrom ? bytes.indexOf(proxy.holdFrom) : -1;
      client.isHeld ||= at >= 0;
      if (client.isHeld) {
        if (at > 0) pass(client, [], bytes.subarray(0, at));
      } else if (proxy.mode === 'stall' || isBuffered) held.down.push(bytes);
      else pass(client, held.down, bytes);
    });
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(proxy, {
    base: `http://127.0.0.1:${server.address().port}`,
    cut: () => proxy.sockets.forEach((socket) => socket.resetAndDestroy()),
    stop: () => {
      server.close();
      proxy.cut();
    },
  });
}
