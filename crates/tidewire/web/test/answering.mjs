// Shared by the tests of the client in Node: a server whose answers a test chooses, and a record of
// the timers.
import { once } from 'node:events';
import { createServer } from 'node:http';

export const JSON_TYPE = { 'Content-Type': 'application/json' };

/** Starts a server that answers each request with `answer`. Resolves to the URL of a channel. */
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

/** Answers like the real server, for a channel with one message. */
export function normally(request, response) {
  const line = '{"type":"message","cursor":"e-1","time":0,"data":"x"}';
  if (request.method === 'POST') response.writeHead(201, JSON_TYPE).end('{"cursor":"e-1"}');
  else if (request.url.includes('feed=stream')) {
    response
      .writeHead(200, { 'Content-Type': 'application/x-ndjson' })
      .write(`{"type":"hello","cursor":"e-0"}\n${line}\n`);
  } else response.writeHead(200, JSON_TYPE).end(`{"messages":[${line}],"cursor":"e-1"}`);
}

/** Returns the times of all timers that are set while `run` runs. */
export async function waits(run) {
  const { setTimeout: timeout, setInterval: interval } = globalThis;
  const waits = [];
  const counting =
    (real) =>
    (then, ms, ...more) => {
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
 * Makes some requests. A client that asks without a pause would send many requests meanwhile, on
 * any machine, because its requests take as long as these. No test depends on the time.
 */
export async function roundTrips(url, n = 50) {
  for (let i = 0; i < n; i++) await (await fetch(`${url}?roundtrip`)).text();
}
