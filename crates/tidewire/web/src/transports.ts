import type { Link, Transport } from './types.js';

/** A failure with the status and the sentence of a refusal. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly retryAfter?: number,
    readonly body?: Record<string, any>,
  ) {
    super(detail);
  }
}

const aborted = (signal: AbortSignal, then: () => void) => {
  if (signal.aborted) then();
  else signal.addEventListener('abort', then, { once: true });
};

async function get(link: Link, parameters: Record<string, string>): Promise<Response> {
  const response = await fetch(await link.url(parameters), {
    headers: (await link.headers()) ?? {},
    credentials: link.credentials,
    signal: link.signal,
    cache: 'no-store',
  });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const after = Number(response.headers.get('retry-after'));
  throw new Refused(response.status, body.detail ?? response.statusText, after ? after * 1000 : undefined, body);
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
      aborted(link.signal, () => socket.close());
      socket.onmessage = (e) => link.object(JSON.parse(e.data));
      socket.onclose = (e) => (e.wasClean ? resolve() : reject(new Error(`WebSocket closed (${e.code})`)));
    });
  },
};

/** The browser's own EventSource. It dies for good of any status but 200, so each attempt makes a new one. */
export const sse: Transport = {
  name: 'sse',
  bare: true,
  async run(link) {
    const url = await link.url({ feed: 'sse', objects: '1' });
    await new Promise<void>((resolve, reject) => {
      const source = new EventSource(url, { withCredentials: link.credentials === 'include' });
      const end = (then: () => void) => {
        source.close();
        then();
      };
      aborted(link.signal, () => end(resolve));
      source.onopen = () => link.alive();
      source.onmessage = (e) => (e.data ? link.object(JSON.parse(e.data)) : link.alive());
      // Resuming is ours to do: it knows the cursor of every transport.
      source.onerror = () => end(() => reject(new Error('EventSource failed')));
    });
  },
};

/** A response that is read while it is written; unlike the two above it can send headers. */
export const fetching: Transport = {
  name: 'fetch',
  async run(link) {
    const response = await get(link, { feed: 'stream' });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ''; ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop()!;
      for (const line of lines) line ? link.object(JSON.parse(line)) : link.alive();
    }
  },
};

async function poll(link: Link, parameters: Record<string, string>) {
  try {
    const answer = await (await get(link, parameters)).json();
    answer.messages.forEach(link.object);
    link.object({ type: 'hello', cursor: answer.cursor });
  } catch (error) {
    // The cursor cannot be continued: the refusal says where to go on.
    if (!(error instanceof Refused && error.status === 410 && error.body?.gap)) throw error;
    link.object(error.body.gap);
  }
}

/** A request that is held until there is something to say. */
export const longpoll: Transport = {
  name: 'longpoll',
  async run(link) {
    // The first answer comes at once: it shows that the way is open.
    await poll(link, { feed: 'longpoll', wait: '0' });
    while (!link.signal.aborted) await poll(link, { feed: 'longpoll', wait: '25' });
  },
};

/** A question now and then: what is left when everything else is broken. */
export const polling: Transport = {
  name: 'poll',
  async run(link, { pollInterval }) {
    while (!link.signal.aborted) {
      await poll(link, { feed: 'poll' });
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

/** Waits, or less if the signal is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    aborted(signal, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
