import { sleep } from './timers.js';
import type { Link, Refused, Transport } from './types.js';

/** What a request needs of a link. */
type Asking = Pick<Link, 'url' | 'headers' | 'credentials'> & Partial<Pick<Link, 'signal' | 'object' | 'cursor'>>;

/**
 * A request whose refusal is an error, and so is any answer that is not JSON: a captive portal answers
 * everything with a page.
 *
 * It asks once more after a 401, with a new URL and new headers: a token may have run out between two
 * attempts. And after a refusal that tells a gap: before the next poll, what is left may be gone as
 * well. That is told of one channel at a time; more refusals in a row than there are channels are an
 * error, so servers that contradict each other are backed off from.
 */
export async function request(link: Asking, parameters: Record<string, string>, init?: RequestInit): Promise<Response> {
  for (let tries = 0; ; tries++) {
    // A link has the credentials and the signal.
    const response = await fetch(await link.url(parameters), { ...link, ...init, headers: await link.headers(), cache: 'no-store' });
    const { status, statusText, headers } = response;
    if (response.ok) {
      if (/json/.test(headers.get('content-type')!)) return response;
      throw new Error('not Tidewire');
    }
    const body = await response.json().catch(() => ({}));
    if (body.gap && tries < link.cursor!.split('.').length) link.object!(body.gap);
    else if (tries || status !== 401) {
      // Seconds, or a date (RFC 9110 §10.2.3).
      const after = headers.get('retry-after')!;
      const retryAfter = Math.max(0, +after * 1000 || Date.parse(after) - Date.now() || 0);
      throw Object.assign(new Error(body.detail ?? statusText), { status, retryAfter, body }) satisfies Refused;
    }
  }
}

/** Frames both ways; survives most networks, and needs no polling. */
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
        // Done, going away, restarting: nothing went wrong.
        if ([1000, 1001, 1012].includes(code)) resolve();
        else reject(new Error(`closed: ${code} ${reason}`));
      };
    });
  },
};

/** The browser's own EventSource. It dies for good of any status but 200, so each attempt makes a new one. */
export const sse: Transport = {
  name: 'sse',
  bare: true,
  async run(link) {
    const url = await link.url({ feed: 'sse', objects: '1' });
    const source = new EventSource(url, { withCredentials: link.credentials === 'include' });
    link.signal.onabort = () => source.close();
    source.onmessage = (e) => link.line(e.data);
    // It would come back by itself; but resuming is ours to do, since we know the cursor of every transport.
    await new Promise((_, reject) => (source.onerror = () => reject(new Error('closed'))));
  },
};

/** A response that is read while it is written; unlike the two above it can send headers. */
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
  const { messages, cursor } = await (await request(link, parameters)).json();
  messages.forEach(link.object);
  link.object({ type: 'hello', cursor });
}

/** Waits between two polls, which is no silence. */
function pause(link: Link, ms: number) {
  link.alive(ms);
  return link.signal.aborted || sleep(ms, (end) => (link.signal.onabort = end));
}

/** A request that is held until there is something to say. */
export const longpoll: Transport = {
  name: 'longpoll',
  async run(link, { heartbeatTimeout, pollInterval }) {
    // The first answer comes at once: it shows that the way is open. The others come before the silence is too long.
    for (let wait = 0; !link.signal.aborted; wait = Math.min(25, heartbeatTimeout / 2000)) {
      const before = link.cursor;
      const began = Date.now();
      await poll(link, { feed: 'longpoll', wait: String(wait) });
      // Nothing new, and not held: something on the way answers by itself. Such a long poll is a short one.
      if (before === link.cursor && Date.now() - began < wait * 100) await pause(link, pollInterval);
    }
  },
};

/** A question now and then: what is left when everything else is broken. */
export const polling: Transport = {
  name: 'poll',
  async run(link, { pollInterval }) {
    while (!link.signal.aborted) {
      await poll(link, { feed: 'poll' });
      await pause(link, pollInterval);
    }
  },
};

/** Polls until there is nothing more, and ends. */
export const reading: Transport = {
  name: 'poll',
  async run(link) {
    for (let before; before !== link.cursor; ) {
      before = link.cursor;
      await poll(link, { feed: 'poll' });
    }
  },
};

/** Asks whether the server answers at all, and takes no message. */
export const asking: Transport = {
  name: 'poll',
  async run(link) {
    await request(link, { feed: 'poll', since: 'now' }, { method: 'HEAD' });
    link.alive();
  },
};
