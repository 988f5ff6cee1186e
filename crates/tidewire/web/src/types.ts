/** The names of the transports that come with the client. */
export type TransportName = 'websocket' | 'sse' | 'fetch' | 'longpoll' | 'poll';

/** Where a channel is: a URL, or what finds it out before each attempt (a fresh token, for instance). */
export type Where = string | URL | (() => string | URL | Promise<string | URL>);

/** A message of a channel. */
export interface Message<T = string> {
  /** The position after this message. */
  cursor: string;
  /** Which channel, where the URL names several. */
  channel?: string;
  /** Milliseconds since 1970, by the server's clock. */
  time: number;
  /** The publisher's event name. */
  event?: string;
  /** The publisher's media type. */
  contentType?: string;
  /** The payload: what `parse` made of its text, or the bytes if it is not text. */
  data: T | Uint8Array;
  /** How it came. */
  transport: string;
}

/** Messages were lost, or may have been: what follows starts after `cursor`. */
export interface Gap {
  /** `gap`, or why the cursor is not one of the log: `unknown-epoch`, `ahead-of-log`. */
  reason: string;
  /** How many are missing, where that can be known. */
  missed?: number;
  cursor: string;
}

/** `waiting`: between two attempts, or paused. */
export type State = 'connecting' | 'open' | 'waiting' | 'closed';

/** An error with the status and the sentence of a refusal: what `publish` rejects with, and a transport may. */
export interface Refused extends Error {
  status: number;
  /** Milliseconds that the server asks to wait, however many. A subscription waits an hour at most. */
  retryAfter?: number;
  /** The problem document. */
  body?: Record<string, any>;
}

/** What went wrong with an attempt. */
export interface Failure {
  transport: string;
  /** The HTTP status, where there was one. */
  status?: number;
  /** What the server wrote about it (`detail` of problem+json), or what the browser says. */
  detail: string;
  /** Of a message that `parse` threw at: its cursor. The subscription goes on after it. */
  cursor?: string;
}

/** What is told, and to whom. */
export interface Events<T> {
  message: (message: Message<T>) => void;
  gap: (gap: Gap) => void;
  state: (state: State) => void;
  error: (failure: Failure) => void;
}

/** How a message is published. */
export interface PublishOptions {
  event?: string;
  /** None, unless the data have one of their own, as a `Blob` does. */
  contentType?: string;
  /** The same key with the same message again appends nothing. Without one, each call draws its own. */
  key?: string;
}

/**
 * A subscription: an async iterator of messages, or events; it connects when there is somebody to deliver to, and holds no connection
 * when there is nobody. It has one cursor for all transports; so whatever is cut, the next attempt goes on right there.
 */
export interface Subscription<T = string> extends AsyncIterable<Message<T>> {
  readonly state: State;
  /** The transport in use, or the last one. */
  readonly transport?: string;
  /** The position after what was delivered: to the listeners, and to whoever iterates. Whoever subscribes again from here misses nothing. */
  readonly cursor: string;
  on<K extends keyof Events<T>>(event: K, listener: Events<T>[K]): this;
  off<K extends keyof Events<T>>(event: K, listener: Events<T>[K]): this;
  /** Each iterator gets every message. When nobody else listens, leaving the loop closes the subscription. */
  [Symbol.asyncIterator](): AsyncIterator<Message<T>>;
  /**
   * Posts a message to the channel; resolves to its cursor. Rejects with {@link Refused} if the server does not want it, and with
   * another error if there was no answer of the server.
   */
  publish(data: BodyInit, options?: PublishOptions): Promise<string>;
  /** Ends it. Nothing is delivered, and nothing throws, afterwards. */
  close(): void;
}

type MaybeAsync<T> = T | Promise<T>;

/**
 * How to subscribe. Times are in milliseconds. The longest is 1,000,000,000, which is eleven days: more, such as
 * `Infinity`, counts as that. What is no time (0, a negative number, `NaN`) counts as the default. `minUptime`
 * is no time that is waited, and may be anything.
 */
export interface Options<T = string> {
  /** Transports in the order in which they are tried: all, best first. */
  transports?: (TransportName | Transport)[];
  /** Where to begin: `now` (the default), `earliest`, or a cursor. */
  since?: string;
  /** Makes a payload of its text; `JSON.parse`, for instance. */
  parse?: (text: string) => T;
  /** Fields for each request. With it, the transports that cannot send any (websocket, sse) are left out. */
  headers?: () => MaybeAsync<HeadersInit>;
  /** As in `fetch`; `omit` leaves out websocket and sse, which send cookies whatever one says. */
  credentials?: RequestCredentials;
  /** Aborting closes the subscription. */
  signal?: AbortSignal;
  /** Milliseconds until a transport must have brought its first byte: 5000. */
  connectTimeout?: number;
  /** Milliseconds of silence after which a connection counts as dead: 35000, more than two heartbeats of the server. */
  heartbeatTimeout?: number;
  /** Milliseconds between two short polls: 5000. */
  pollInterval?: number;
  /** Milliseconds: the wait doubles from `min` (250) to `max` (30000), and a random part of it is waited. */
  backoff?: { min?: number; max?: number };
  /** A connection that lasted so many milliseconds resets the backoff: 5000. */
  minUptime?: number;
  /** Milliseconds on a transport that is not the first, after which the better ones are tried beside it: 300000. */
  tryBetter?: number;
  /** Keeps the cursor over a reload: `sessionStorage` in an adapter of two lines, for instance. What it has goes before `since`. */
  storage?: { get(): string | null | undefined; set(cursor: string): void };
  /**
   * One connection for all tabs of the origin (Web Locks and BroadcastChannel; a secure context). A text names what they share; without one it is
   * the URL, so where a function finds that, a name is needed.
   */
  shared?: boolean | string;
  /** Holds no connection while the page is hidden. */
  pauseWhenHidden?: boolean;
  /** After a failure: `false` closes, a number is the wait in milliseconds. */
  shouldRetry?: (failure: Failure, attempt: number) => boolean | number | void;
}

/** One attempt, as a transport sees it. */
export interface Link {
  readonly cursor: string;
  readonly credentials?: RequestCredentials;
  readonly signal: AbortSignal;
  /** The URL with these parameters, and `since`. */
  url(parameters: Record<string, string>): Promise<URL>;
  headers(): Promise<HeadersInit | undefined>;
  /** A sign of life. The first one means that the transport works; the next may take `more` milliseconds than usual. */
  alive(more?: number): void;
  /** A JSON object of the server: hello, message, gap, reset; others are signs of life. */
  object(object: Record<string, any>): void;
  /** The same as text; an empty one is a sign of life, and one that is not JSON ends the attempt. */
  line(text: string): void;
}

/** What a transport is told of the options. */
export type Settings = Required<Pick<Options, 'pollInterval' | 'heartbeatTimeout'>>;

/** A way of delivery. `run` resolves when the connection ends and rejects when it fails; it ends when the link's signal is aborted. */
export interface Transport {
  name: string;
  /** Cannot send headers. */
  bare?: boolean;
  run(link: Link, settings: Settings): Promise<void>;
}
