import type { Link, Refused, Transport } from './types.js';

/** What a request needs of a link. */
type Asking = Pick<Link, 'url' | 'headers' | 'credentials'> & { signal?: AbortSignal };

/** A request whose refusal is an error. A 401 asks for URL and headers once more: a token may have run out between two attempts. */
export async function request(link: Asking, parameters: Record<string, string>, init: RequestInit = {}): Promise<Response> {
  for (let again = true; ; again = false) {
    const { credentials, signal } = link;
    const response = await fetch(await link.url(parameters), {
      ...init,
      headers: await link.headers(),
      credentials,
      signal,
      cache: 'no-store',
    });
    const { ok, status, statusText } = response;
    if (ok) return response;
    if (again && status === 401) continue;
    const body = await response.json().catch(() => ({}));
    // Seconds, or a date (RFC 9110 §10.2.3).
    const after = response.headers.get('retry-after') ?? '';
    const retryAfter = Math.max(0, Number(after) * 1000 || Date.parse(after) - Date.now() || 0);
    throw Object.assign(new Error(body.detail ?? statusText), { status, retryAfter, body }) satisfies Refused;
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
    await new Promise((_, reject) => (source.onerror = () => reject(new Error('failed'))));
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
      // Something else than lines of JSON, such as the page of a hotel, is no sign of life.
      if (done) return (rest && link.line(rest)) as void;
      if (rest) link.alive();
      const lines = (rest + value).split('\n');
      rest = lines.pop()!;
      lines.forEach(link.line);
    }
  },
};

async function poll(link: Link, parameters: Record<string, string>) {
  try {
    const response = await request(link, parameters);
    link.alive();
    const { messages, cursor } = await response.json();
    messages.forEach(link.object);
    link.object({ type: 'hello', cursor });
  } catch (error) {
    // The cursor cannot be continued: the refusal says where to go on.
    const { status, body } = error as Refused;
    if (status !== 410 || !body?.gap) throw error;
    link.object(body.gap);
    return true;
  }
}

/** A request that is held until there is something to say. */
export const longpoll: Transport = {
  name: 'longpoll',
  async run(link, { heartbeatTimeout }) {
    // The first answer comes at once: it shows that the way is open. The others come before the silence is too long.
    for (let wait = 0; !link.signal.aborted; wait = Math.min(25, heartbeatTimeout / 2000)) {
      await poll(link, { feed: 'longpoll', wait: String(wait) });
    }
  },
};

/** A question now and then: what is left when everything else is broken. */
export const polling: Transport = {
  name: 'poll',
  async run(link, { pollInterval }) {
    while (!link.signal.aborted) {
      // What is left behind a gap is read at once: before the next turn it may be gone as well.
      if (await poll(link, { feed: 'poll' })) continue;
      link.alive(pollInterval);
      await sleep(pollInterval, link.signal);
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

/** Waits, or less if the signal is aborted. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, signal.aborted ? 0 : ms);
    // One at a time, so that a thousand polls do not leave a thousand listeners.
    signal.onabort = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}
