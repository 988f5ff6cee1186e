import { sleep } from './timers.js';
import type { Link, Refused, Transport } from './types.js';

/** The parts of a link that a request needs. */
type Asking = Pick<Link, 'url' | 'headers' | 'credentials'> &
  Partial<Pick<Link, 'signal' | 'object' | 'cursor'>>;

/**
 * Sends a request. A refusal is an error, and so is an answer that is not JSON: a captive portal
 * answers every request with a page.
 *
 * After a 401 it repeats the request once, with a new URL and new headers, because a token may have
 * expired. After a refusal that reports a gap it repeats the request at once, because more messages
 * could be lost before the next poll. A refusal reports the gap of one channel. So more such
 * refusals in a row than there are channels are an error, and the backoff applies, for example when
 * two servers contradict each other.
 */
export async function request(
  link: Asking,
  parameters: Record<string, string>,
  init?: RequestInit,
): Promise<Response> {
  for (let tries = 0; ; tries++) {
    // A link has the credentials and the signal.
    const response = await fetch(await link.url(parameters), {
      ...link,
      ...init,
      headers: await link.headers(),
      cache: 'no-store',
    });
    const { status, statusText, headers } = response;
    if (response.ok) {
      if (/json/.test(headers.get('content-type')!)) return response;
      throw new Error('not Tidewire');
    }
    const body = await response.json().catch(() => ({}));
    if (body.reason === 'deleted') link.object?.({ type: 'deleted', channel: body.channel });
    if (body.gap && tries < link.cursor!.split('.').length) link.object!(body.gap);
    else if (tries || status !== 401) {
      // Seconds or a date (RFC 9110 §10.2.3).
      const after = headers.get('retry-after')!;
      const retryAfter = Math.max(0, +after * 1000 || Date.parse(after) - Date.now() || 0);
      throw Object.assign(new Error(body.detail ?? statusText), {
        status,
        retryAfter,
        body,
      }) satisfies Refused;
    }
  }
}

/** A WebSocket. It works in most networks, and needs no polling. */
export const websocket: Transport = {
  name: 'websocket',
  bare: true,
  async run(link) {
    const url = await link.url({});
    url.protocol = url.protocol.replace('http', 'ws');
    await new Promise<void>((resolve, reject) => {
      const socket = new WebSocket(url, 'tidewire.v1');
      link.signal.onabort = () => socket.close();
      socket.onmessage = (e) => link.line(e.data);
      socket.onclose = ({ code, reason }) => {
        if (code === 4404) link.object({ type: 'deleted' });
        // All channels have ended, also those whose end was not told on this connection.
        if (reason === 'the channel has ended') link.object({ type: 'end', cursor: link.cursor });
        // These codes are no errors: normal closure, going away, service restart.
        if ([1000, 1001, 1012].includes(code)) resolve();
        else reject(new Error(`closed: ${code} ${reason}`));
      };
    });
  },
};

/**
 * The browser's EventSource. It closes for good after a status other than 200, so each attempt
 * makes a new one.
 */
export const sse: Transport = {
  name: 'sse',
  bare: true,
  async run(link) {
    const url = await link.url({ feed: 'sse', objects: '1' });
    const source = new EventSource(url, { withCredentials: link.credentials === 'include' });
    link.signal.onabort = () => source.close();
    source.onmessage = (e) => link.line(e.data);
    // An EventSource would reconnect by itself. The client does it instead, because it knows the
    // cursor of all transports.
    await new Promise((_, reject) => (source.onerror = () => reject(new Error('closed'))));
  },
};

/**
 * A response that is read while the server writes it. Unlike the two above, it can send headers.
 */
export const fetching: Transport = {
  name: 'fetch',
  async run(link) {
    const response = await request(link, { feed: 'stream' });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ''; ; ) {
      const { done, value } = await reader.read();
      if (done) return (rest && link.line(rest)) as void;
      if (rest) link.alive();
      const lines = (rest + value).split('\n');
      rest = lines.pop()!;
      lines.forEach(link.line);
    }
  },
};

async function poll(link: Link, parameters: Record<string, string>) {
  const { messages, cursor, closed } = await (await request(link, parameters)).json();
  messages.forEach(link.object);
  link.object({ type: closed ? 'end' : 'hello', cursor });
}

/** Waits between two polls. This does not count as silence. */
function pause(link: Link, ms: number) {
  link.alive(ms);
  return link.signal.aborted || sleep(ms, (end) => (link.signal.onabort = end));
}

/** Requests that the server holds until there is a message. */
export const longpoll: Transport = {
  name: 'longpoll',
  async run(link, { heartbeatTimeout, pollInterval }) {
    // The first answer comes at once and shows that the transport works. The server holds the
    // others for less than the heartbeat time-out.
    for (let wait = 0; !link.signal.aborted; wait = Math.min(25, heartbeatTimeout / 2000)) {
      const before = link.cursor;
      const began = Date.now();
      await poll(link, { feed: 'longpoll', wait: String(wait) });
      // The answer has nothing new and was not held: a cache or a proxy has answered. Then this is
      // in fact a short poll, so pause.
      if (before === link.cursor && Date.now() - began < wait * 100) await pause(link, pollInterval);
    }
  },
};

/** A request from time to time. It works where all other transports fail. */
export const polling: Transport = {
  name: 'poll',
  async run(link, { pollInterval }) {
    while (!link.signal.aborted) {
      await poll(link, { feed: 'poll' });
      await pause(link, pollInterval);
    }
  },
};

/** Polls until there is nothing more, then ends. */
export const reading: Transport = {
  name: 'poll',
  async run(link) {
    for (let before; before !== link.cursor; ) {
      before = link.cursor;
      await poll(link, { feed: 'poll' });
    }
  },
};

/**
 * Checks whether the server answers a plain request, and whether the channel has ended at this
 * place or was deleted: a browser does not tell the page why an EventSource or a WebSocket failed.
 * It reads no messages.
 */
export const asking: Transport = {
  name: 'poll',
  async run(link) {
    const { cursor, closed } = await (await request(link, { feed: 'poll', since: 'now' })).json();
    link.alive();
    if (closed && cursor === link.cursor) link.object({ type: 'end', cursor });
  },
};
