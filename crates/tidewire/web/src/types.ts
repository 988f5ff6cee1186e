/** The names of the transports that come with the client. */
export type TransportName = 'websocket' | 'sse' | 'fetch' | 'longpoll' | 'poll';

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

/** What went wrong with an attempt. */
export interface Failure {
  transport: string;
  /** The HTTP status, where there was one. */
  status?: number;
  /** What the server wrote about it (`detail` of problem+json), or what the browser says. */
  detail: string;
}

type MaybeAsync<T> = T | Promise<T>;

export interface Options<T = string> {
  /** Transports in the order in which they are tried. */
  transports?: (TransportName | Transport)[];
  /** Where to begin: `now` (the default), `earliest`, or a cursor. */
  since?: string;
  /** Makes a payload of its text; `JSON.parse`, for instance. */
  parse?: (text: string) => T;
  /** Fields for each request. With it, the transports that cannot send any (websocket, sse) are left out. */
  headers?: () => MaybeAsync<HeadersInit>;
  credentials?: RequestCredentials;
  /** Aborting closes the subscription. */
  signal?: AbortSignal;
  /** Milliseconds until a transport must have brought its first byte. */
  connectTimeout?: number;
  /** Milliseconds of silence after which a connection counts as dead. */
  heartbeatTimeout?: number;
  /** Milliseconds between two short polls. */
  pollInterval?: number;
  /** Milliseconds: the wait doubles from `min` to `max`, and a random part of it is waited. */
  backoff?: { min: number; max: number };
  /** A connection that lasted so many milliseconds resets the backoff. */
  minUptime?: number;
  /** Keeps the cursor over a reload: `sessionStorage` in an adapter of two lines, for instance. */
  storage?: { get(): string | null | undefined; set(cursor: string): void };
  /** One connection for all tabs of the origin (Web Locks and BroadcastChannel; a secure context). */
  shared?: boolean;
  /** Holds no connection while the page is hidden. */
  pauseWhenHidden?: boolean;
  /** After a failure: `false` closes, a number is the wait in milliseconds. */
  shouldRetry?: (failure: Failure, attempt: number) => boolean | number;
}

/** One attempt, as a transport sees it. */
export interface Link {
  readonly cursor: string;
  readonly credentials?: RequestCredentials;
  readonly signal: AbortSignal;
  /** The URL with these parameters, and `since`. */
  url(parameters: Record<string, string>): Promise<URL>;
  headers(): Promise<HeadersInit | undefined>;
  /** A sign of life. The first one means that the transport works. */
  alive(): void;
  /** A JSON object of the server: hello, message, gap, reset; others are signs of life. */
  object(object: Record<string, any>): void;
}

/** A way of delivery. Resolves when the connection ends; rejects with a {@link Failure} or an error. */
export interface Transport {
  name: string;
  /** Cannot send headers. */
  bare?: boolean;
  run(link: Link, settings: { pollInterval: number }): Promise<void>;
}
