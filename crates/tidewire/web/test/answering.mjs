// A server that answers as a test wants it to, and a look at the timers: what the tests of the client without a browser share.
import { once } from 'node:events';
import { createServer } from 'node:http';

export const JSON_TYPE = { 'Content-Type': 'application/json' };

/** A server that answers each request as it is told; resolves to the URL of a channel. */
export async function answering(t, answer) {
  const http = createServer(answer);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => {
    http.close();
    http.closeAllConnections();
  });
  return `http://127.0.0.1:${http.address().port}/c/x`;
}

/** What the real server would say, for a channel with one message. */
export function normally(request, response) {
  const line = '{"type":"message","cursor":"e-1","time":0,"data":"x"}';
  if (request.method === 'POST') response.writeHead(201, JSON_TYPE).end('{"cursor":"e-1"}');
  else if (request.url.includes('feed=stream')) {
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' }).write(`{"type":"hello","cursor":"e-0"}\n${line}\n`);
  } else response.writeHead(200, JSON_TYPE).end(`{"messages":[${line}],"cursor":"e-1"}`);
}

/** The waits that are asked of timers, while `run` runs. */
export async function waits(run) {
  const { setTimeout: timeout, setInterval: interval } = globalThis;
  const waits = [];
  const counting = (real) => (then, ms, ...more) => {
    waits.push(ms);
    return real(then, ms, ...more);
  };
  Object.assign(globalThis, { setTimeout: counting(timeout), setInterval: counting(interval) });
  try {
    await run(waits);
  } finally {
    Object.assign(globalThis, { setTimeout: timeout, setInterval: interval });
  }
  return waits;
}

/**
 * Time for a client that asks without a pause: it could ask many times meanwhile, on any machine, since it needs no more for a question than this
 * does. Nothing depends on how long it takes.
 */
export async function roundTrips(url, n = 50) {
  for (let i = 0; i < n; i++) await (await fetch(`${url}?roundtrip`)).text();
}
