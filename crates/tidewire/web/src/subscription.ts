import { covers } from './cursor.js';
import { share } from './share.js';
import { fetching, longpoll, polling, reading, Refused, sleep, sse, websocket } from './transports.js';
import type { Failure, Gap, Link, Message, Options, State, Transport } from './types.js';

const ALL: Record<string, Transport> = { websocket, sse, fetch: fetching, longpoll, poll: polling };

/** After so long on a transport that was not the first choice, the better ones are tried again. */
const TRY_BETTER = 300_000;

interface Events<T> {
  message: (message: Message<T>) => void;
  gap: (gap: Gap) => void;
  state: (state: State) => void;
  error: (failure: Failure) => void;
}

/** Where a channel is: a URL, or what finds it out before each attempt (a fresh token, for instance). */
export type Where = string | URL | (() => string | URL | Promise<string | URL>);

/**
 * A subscription: an async iterator of messages, or events; it connects when the first listener for messages is there. Its cursor moves when a message is delivered, not before, and is the same for
 * all transports; so whatever is cut, the next attempt goes on right there.
 */
export class Subscription<T = string> implements AsyncIterable<Message<T>> {
  state: State = 'connecting';
  /** The transport in use, or the last one. */
  transport?: string;
  cursor: string;

  #where: Where;
  #options: Options<T>;
  #transports: Transport[];
  #listeners: { [K in keyof Events<T>]: Set<Events<T>[K]> } = {
    message: new Set(),
    gap: new Set(),
    state: new Set(),
    error: new Set(),
  };
  #closing = new AbortController();
  /** Ends the wait between two attempts. */
  #wake = new AbortController();
  /** Cuts the connection in use; the loop goes on. */
  #cut?: AbortController;
  #frozen = false;
  #started = false;

  constructor(where: Where, options: Options<T> = {}) {
    this.#where = where;
    this.#options = options;
    const named = options.transports ?? Object.keys(ALL);
    this.#transports = named
      .map((one) => (typeof one === 'string' ? ALL[one]! : one))
      .filter((one) => !(options.headers && one.bare));
    this.cursor = options.storage?.get() || options.since || 'now';
    options.signal?.addEventListener('abort', () => this.close());
    if (options.signal?.aborted) this.close();
  }

  on<K extends keyof Events<T>>(event: K, listener: Events<T>[K]): this {
    this.#listeners[event].add(listener);
    if (event === 'message') this.#start();
    return this;
  }

  off<K extends keyof Events<T>>(event: K, listener: Events<T>[K]): this {
    this.#listeners[event].delete(listener);
    return this;
  }

  /** Posts a message to the channel; resolves to its cursor. Retrying with the same `key` appends nothing twice. */
  async publish(data: BodyInit, options: { event?: string; contentType?: string; key?: string } = {}): Promise<string> {
    const url = new URL(await this.#base());
    if (options.event) url.searchParams.set('event', options.event);
    const headers = new Headers(await this.#options.headers?.());
    headers.set('idempotency-key', options.key ?? crypto.randomUUID?.() ?? String(Math.random()).slice(2));
    if (options.contentType) headers.set('content-type', options.contentType);
    const response = await fetch(url, { method: 'POST', body: data, headers, credentials: this.#options.credentials });
    const body = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused(response.status, body.detail ?? response.statusText);
    return body.cursor;
  }

  /** Ends it. Nothing is delivered, and nothing throws, afterwards. */
  close(): void {
    this.#closing.abort();
    this.#wake.abort();
    this.#cut?.abort();
    this.#become('closed');
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Message<T>> {
    const queue: Message<T>[] = [];
    let wake = () => {};
    const listener = (message: Message<T>) => {
      queue.push(message);
      wake();
    };
    const ended = () => wake();
    this.on('message', listener).on('state', ended);
    try {
      while (queue.length || this.state !== 'closed') {
        if (queue.length) yield queue.shift()!;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.off('message', listener).off('state', ended);
      this.close();
    }
  }

  /** Delivers what came, from the server or from the tab that has the connection. @internal */
  take(object: Record<string, any>, transport: string): void {
    if (this.#closing.signal.aborted) return;
    const { type, cursor } = object;
    if (type === 'message') {
      if (covers(this.cursor, cursor)) return;
      const text: string | undefined = object.data;
      this.#tell('message', {
        cursor,
        channel: object.channel,
        time: object.time,
        event: object.event,
        contentType: object.content_type,
        data: text === undefined ? bytes(object.data_b64) : ((this.#options.parse?.(text) ?? text) as T),
        transport,
      });
    } else if (type === 'gap' || type === 'reset') {
      this.#tell('gap', { reason: object.reason ?? 'gap', missed: object.missed, cursor });
    } else if (type !== 'hello') return;
    if (cursor) {
      this.cursor = cursor;
      this.#options.storage?.set(cursor);
    }
  }

  /** Connects when there is somebody to deliver to: a message that nobody hears would be lost. */
  #start(): void {
    if (this.#started || this.state === 'closed') return;
    this.#started = true;
    this.#watchPage();
    if (this.#options.shared) share(this.#name(), this, () => this.#loop(), this.#closing.signal);
    else void this.#loop();
  }

  /** Reads on from the cursor until there is nothing more. @internal */
  async catchUp(): Promise<void> {
    for (let attempt = 0; !this.#closing.signal.aborted; attempt++) {
      const { error } = await this.#attempt(reading);
      if (!error) return;
      await sleep(Math.min(30_000, 250 * 2 ** attempt), this.#closing.signal);
    }
  }

  async #loop(): Promise<void> {
    const { backoff = { min: 250, max: 30_000 }, minUptime = 5_000 } = this.#options;
    let [index, attempt, misses, since] = [this.#remembered(), 0, 0, Date.now()];
    while (!this.#closing.signal.aborted) {
      if (this.#frozen || (this.#options.pauseWhenHidden && document.hidden)) {
        this.#become('waiting');
        await sleep(1e9, this.#nextWake());
        continue;
      }
      if (index && Date.now() - since > TRY_BETTER) [index, since] = [0, Date.now()];
      const transport = this.#transports[index]!;
      const started = Date.now();
      const { opened, error } = await this.#attempt(transport);
      if (this.#closing.signal.aborted) return;
      if (opened) {
        misses = 0;
        this.#remember(index);
        if (Date.now() - started >= minUptime) attempt = 0;
      } else if (++misses > 1 || (error instanceof Refused && error.status < 500)) {
        // Twice without a first byte, or refused: the network, or the server, does not have it.
        misses = 0;
        index = (index + 1) % this.#transports.length;
      }
      let wait = Math.random() * Math.min(backoff.max, backoff.min * 2 ** attempt++);
      if (error) {
        const failure = { transport: transport.name, status: (error as Refused).status, detail: error.message };
        this.#tell('error', failure);
        const verdict = this.#options.shouldRetry?.(failure, attempt);
        if (verdict === false) return this.close();
        if (typeof verdict === 'number') wait = verdict;
        else wait = Math.max(wait, (error as Refused).retryAfter ?? 0);
      }
      if (this.#closing.signal.aborted) return;
      this.#become('waiting');
      await sleep(wait, this.#nextWake());
    }
  }

  /** One connection, from its first byte to its end. Never rejects. */
  async #attempt(transport: Transport): Promise<{ opened: boolean; error?: Error }> {
    const { connectTimeout = 5_000, heartbeatTimeout = 35_000, pollInterval = 5_000 } = this.#options;
    const cut = (this.#cut = new AbortController());
    this.#closing.signal.addEventListener('abort', () => cut.abort(), { signal: cut.signal });
    let opened = false;
    let silence: Error | undefined;
    let timer: ReturnType<typeof setTimeout>;
    const within = (ms: number) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        silence = new Error(`nothing came within ${ms} ms`);
        cut.abort();
      }, ms);
    };
    const alive = () => {
      if (cut.signal.aborted) return;
      within(heartbeatTimeout);
      if (!opened) {
        opened = true;
        this.#become('open');
      }
    };
    this.transport = transport.name;
    this.#become('connecting');
    within(connectTimeout);
    const self = this;
    const link: Link = {
      get cursor() {
        return self.cursor;
      },
      credentials: this.#options.credentials,
      signal: cut.signal,
      alive,
      object: (object) => {
        if (cut.signal.aborted) return;
        alive();
        this.take(object, transport.name);
      },
      headers: async () => this.#options.headers?.(),
      url: async (parameters) => {
        const url = new URL(await this.#base());
        for (const [name, value] of Object.entries({ since: this.cursor, ...parameters })) url.searchParams.set(name, value);
        return url;
      },
    };
    let error: Error | undefined;
    // A provider of URLs or headers that hangs is cut off by the same clock as the network.
    const cutOff = new Promise<void>((resolve) => cut.signal.addEventListener('abort', () => resolve()));
    await Promise.race([transport.run(link, { pollInterval }), cutOff]).catch((e) => (error = e));
    error = silence ?? (cut.signal.aborted ? undefined : error);
    clearTimeout(timer!);
    cut.abort();
    return { opened, error };
  }

  async #base(): Promise<URL> {
    const where = typeof this.#where === 'function' ? await this.#where() : this.#where;
    return new URL(where, globalThis.location?.href);
  }

  #tell<K extends keyof Events<T>>(event: K, value: Parameters<Events<T>[K]>[0]): void {
    for (const listener of this.#listeners[event]) {
      try {
        (listener as (value: unknown) => void)(value);
      } catch (error) {
        // A listener's fault is its own: it is reported, and nobody else misses anything.
        globalThis.reportError?.(error);
      }
    }
  }

  #become(state: State): void {
    if (this.state === state || this.state === 'closed') return;
    this.state = state;
    this.#tell('state', state);
  }

  #nextWake(): AbortSignal {
    this.#wake = new AbortController();
    if (this.#closing.signal.aborted) this.#wake.abort();
    return this.#wake.signal;
  }

  /** The page goes to sleep, wakes up, or finds the network again: no timer knows that as soon. */
  #watchPage(): void {
    const page = globalThis as Partial<Window & typeof globalThis>;
    const on = (target: EventTarget | undefined, type: string, then: () => void) =>
      target?.addEventListener?.(type, then, { signal: this.#closing.signal });
    const wake = () => this.#wake.abort();
    on(page.window, 'online', wake);
    on(page.window, 'pagehide', () => {
      // An open connection keeps the page out of the back-forward cache.
      this.#frozen = true;
      this.#cut?.abort();
    });
    on(page.window, 'pageshow', () => {
      this.#frozen = false;
      wake();
    });
    on(page.document, 'visibilitychange', () => {
      if (this.#options.pauseWhenHidden && document.hidden) this.#cut?.abort();
      else wake();
    });
  }

  #name(): string {
    return `tidewire:${typeof this.#where === 'function' ? this.#where : new URL(this.#where, globalThis.location?.href)}`;
  }

  #remembered(): number {
    try {
      const name = sessionStorage.getItem(this.#name());
      return Math.max(0, this.#transports.findIndex((one) => one.name === name));
    } catch {
      return 0;
    }
  }

  #remember(index: number): void {
    try {
      sessionStorage.setItem(this.#name(), this.#transports[index]!.name);
    } catch {
      // No storage, no memory: the order is tried anew.
    }
  }
}

function bytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}
