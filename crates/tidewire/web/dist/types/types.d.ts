/** The names of the transports that come with the client. */
export type TransportName = 'websocket' | 'sse' | 'fetch' | 'longpoll' | 'poll';
/**
 * The URL of a channel, or a function that returns it before each request (with a new token, say).
 */
export type Where = string | URL | (() => string | URL | Promise<string | URL>);
/** A message of a channel. */
export interface Message<T = string> {
    /** The position after this message. */
    cursor: string;
    /** The channel, if the URL names several. */
    channel?: string;
    /** Milliseconds since 1970, by the server's clock. */
    time: number;
    /** The publisher's event name. */
    event?: string;
    /** The publisher's media type. */
    contentType?: string;
    /** The payload: the result of `parse`, the text, or the bytes of a payload that is not text. */
    data: T | Uint8Array;
    /** The transport that received it. */
    transport: string;
}
/**
 * A report that messages were lost, or may have been lost. The next messages are after `cursor`.
 */
export interface Gap {
    /**
     * `gap`; `hole`, if messages were missing that the server did not report; or why the log does not
     * have the cursor: `unknown-epoch`, `ahead-of-log`, `tail-lost`.
     */
    reason: string;
    /** The number of lost messages, if it is known. */
    missed?: number;
    cursor: string;
}
/** The end of a channel: its publisher has closed it, and all its messages were delivered. */
export interface End {
    /** The position after the end. A subscription from here ends at once. */
    cursor: string;
    /** The channel, if the URL names several. */
    channel?: string;
}
/** `waiting`: between two attempts, or paused. */
export type State = 'connecting' | 'open' | 'waiting' | 'closed';
/**
 * A refusal by the server, with its status. The message of the error is the server's explanation.
 * `publish` rejects with it, and a transport may do so too.
 */
export interface Refused extends Error {
    status: number;
    /**
     * Milliseconds that the server asks to wait, without a limit. A subscription waits at most an
     * hour.
     */
    retryAfter?: number;
    /** The problem document. */
    body?: Record<string, any>;
}
/** An iterator throws it after the last message if the channel was deleted. */
export interface Deleted extends Error {
    status: 404;
    /**
     * The name of the channel. If the URL names several and the server does not say which one it was,
     * these are all names, as in the URL.
     */
    channel: string;
}
/** Why an attempt failed. */
export interface Failure {
    transport: string;
    /** The HTTP status, if there was a response. */
    status?: number;
    /** The server's explanation (`detail` of problem+json), or the browser's. */
    detail: string;
    /** The cursor of a message, if `parse` threw. The subscription continues after that message. */
    cursor?: string;
    /** The channel that was deleted. The subscription is closed then. */
    channel?: string;
}
/** The events of a subscription, and the types of their listeners. */
export interface Events<T> {
    message: (message: Message<T>) => void;
    gap: (gap: Gap) => void;
    end: (end: End) => void;
    state: (state: State) => void;
    error: (failure: Failure) => void;
}
/** Options of one publish. */
export interface PublishOptions {
    event?: string;
    /** The media type. Default: that of the data (a `Blob` may have one), or none. */
    contentType?: string;
    /** The idempotency key: the server appends a message with it only once. Default: a random key. */
    key?: string;
    /** Closes the channel after this message; without data, only closes it. */
    close?: boolean;
    /**
     * A producer, in place of a key: the server appends each of its messages once, in order, and
     * refuses a producer with the same name and an earlier epoch.
     */
    producer?: {
        id: string;
        epoch: number;
        seq: number;
    };
}
/**
 * A subscription: an async iterator of messages, and a source of events. It connects when there is
 * a listener or an iterator for messages, and disconnects when there is none. It has one cursor for
 * all transports. So after any failure the next attempt continues at the right position.
 */
export interface Subscription<T = string> extends AsyncIterable<Message<T>> {
    readonly state: State;
    /** The transport in use, or the last one. */
    readonly transport?: string;
    /**
     * The position after the messages that were delivered to the listeners and the iterators. A new
     * subscription from here misses nothing.
     */
    readonly cursor: string;
    on<K extends keyof Events<T>>(event: K, listener: Events<T>[K]): this;
    off<K extends keyof Events<T>>(event: K, listener: Events<T>[K]): this;
    /**
     * Each iterator gets every message. If there is no other iterator and no listener for messages,
     * leaving the loop closes the subscription. The loop ends when all channels have ended, and
     * throws {@link Deleted} if one was deleted.
     */
    [Symbol.asyncIterator](): AsyncIterator<Message<T>>;
    /**
     * Publishes a message to the channel and resolves to its cursor. Rejects with {@link Refused} if
     * the server refuses the message, and with another error if the server does not answer.
     */
    publish(data: BodyInit, options?: PublishOptions): Promise<string>;
    /** Ends the subscription. Afterwards it delivers nothing and throws nothing. */
    close(): void;
}
type MaybeAsync<T> = T | Promise<T>;
/**
 * Options of a subscription. Times are in milliseconds. The longest is 1,000,000,000, which is
 * eleven days. A longer one, such as `Infinity`, counts as that. A value that is no time (0, a
 * negative number, `NaN`) counts as the default. `minUptime` may be any number, because nothing
 * waits for it.
 */
export interface Options<T = string> {
    /** The transports, in the order in which they are tried. Default: all, best first. */
    transports?: (TransportName | Transport)[];
    /** Where to begin: `now` (the default), `earliest`, or a cursor. */
    since?: string;
    /** Converts the text of a payload; for example `JSON.parse`. */
    parse?: (text: string) => T;
    /**
     * Header fields for each request. Transports that cannot send any (websocket, sse) are not used.
     */
    headers?: () => MaybeAsync<HeadersInit>;
    /**
     * As in `fetch`. With `omit`, websocket and sse are not used, because they always send cookies.
     */
    credentials?: RequestCredentials;
    /** Aborting closes the subscription. */
    signal?: AbortSignal;
    /** A transport without a byte after this time has failed. Default 5000. */
    connectTimeout?: number;
    /** A connection that is silent for this long is dead. Default 35000: more than two heartbeats. */
    heartbeatTimeout?: number;
    /** The time between two short polls. Default 5000. */
    pollInterval?: number;
    /** Each wait is random, up to a bound that doubles from `min` (250) to `max` (30000). */
    backoff?: {
        min?: number;
        max?: number;
    };
    /** A connection that lasted this long resets the backoff. Default 5000. */
    minUptime?: number;
    /** After this time on a later transport, the earlier ones are tried again. Default 300000. */
    tryBetter?: number;
    /**
     * Keeps the cursor over a reload, such as in `sessionStorage`. It takes precedence over `since`.
     */
    storage?: {
        get(): string | null | undefined;
        set(cursor: string): void;
    };
    /**
     * One connection for all tabs of the origin (with Web Locks and BroadcastChannel, in a secure
     * context). A string is the name of the connection; the default is the URL. If the URL is a
     * function, a name is required.
     */
    shared?: boolean | string;
    /** Holds no connection while the page is hidden. */
    pauseWhenHidden?: boolean;
    /** Called after each failure: `false` closes, a number is the wait in milliseconds. */
    shouldRetry?: (failure: Failure, attempt: number) => boolean | number | void;
}
/** The interface of one attempt for its transport. */
export interface Link {
    readonly cursor: string;
    readonly credentials?: RequestCredentials;
    readonly signal: AbortSignal;
    /** Returns the URL with `since` and these parameters. */
    url(parameters: Record<string, string>): Promise<URL>;
    headers(): Promise<HeadersInit | undefined>;
    /**
     * Reports a sign of life. The first one shows that the transport works. The next one may come
     * `more` milliseconds later than usual.
     */
    alive(more?: number): void;
    /**
     * Handles a JSON object of the server: hello, message, gap, reset, end, deleted. Others are signs
     * of life.
     */
    object(object: Record<string, any>): void;
    /**
     * Handles such an object as text. An empty text is a sign of life; invalid JSON ends the attempt.
     */
    line(text: string): void;
}
/** The options that a transport gets. */
export type Settings = Required<Pick<Options, 'pollInterval' | 'heartbeatTimeout'>>;
/**
 * A transport. `run` resolves when the connection ends, and rejects when it fails. It must end when
 * the signal of the link is aborted.
 */
export interface Transport {
    name: string;
    /** Whether it cannot send headers. */
    bare?: boolean;
    run(link: Link, settings: Settings): Promise<void>;
}
export {};
