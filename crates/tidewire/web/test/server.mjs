// The real server on a free port, and a proxy before it that can be told to misbehave.
import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const BINARY = process.env.TIDEWIRE_BIN;

/** Starts the server, without the playground unless it is asked for; resolves to its base URL and a function that ends it. */
export async function startServer(...options) {
  // What loads at / would be a page with requests and connections of its own.
  if (!options.includes('--playground')) options.push('--playground', 'off');
  if (!BINARY) throw new Error('TIDEWIRE_BIN names no server; run these tests with `cargo xtask browser`');
  const child = spawn(BINARY, ['--listen', '127.0.0.1:0', ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(child.stdout), 'line');
  const base = line.match(/http:\/\/\S+/)?.[0];
  if (!base) throw new Error(`the server did not say where it listens, but: ${line}`);
  return { base, stop: () => child.kill('SIGKILL') };
}

/**
 * A proxy before the server. `mode` may be changed at any time:
 * `pass`, `no-upgrade` (WebSocket is refused with 403), `buffer` (an answer is held back until it ends), `stall` (nothing comes through), `refuse` (503).
 * `cut()` resets every connection.
 */
export async function startProxy(target) {
  const proxy = { mode: 'pass', requests: 0, sockets: new Set() };
  const { port, hostname } = new URL(target);
  const server = createServer((client) => {
    proxy.sockets.add(client);
    const upstream = connect(Number(port), hostname);
    const end = () => {
      client.destroy();
      upstream.destroy();
      proxy.sockets.delete(client);
    };
    const held = [];
    client.on('data', (bytes) => {
      proxy.requests++;
      const head = bytes.toString('latin1').toLowerCase();
      if (proxy.mode === 'no-upgrade' && head.includes('\nupgrade: websocket')) {
        client.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      } else if (proxy.mode === 'refuse') {
        client.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      } else if (proxy.mode !== 'stall') upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      // A proxy that buffers passes an answer on when it is complete: short ones with a length, never a stream.
      const text = bytes.toString('latin1');
      if (proxy.mode === 'buffer' && (held.length || !/content-length/i.test(text))) held.push(bytes);
      else if (proxy.mode !== 'stall') client.write(bytes);
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
