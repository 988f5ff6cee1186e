import type { Failure, Gap, Message, Options, State } from './types.js';
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
export declare class Subscription<T = string> implements AsyncIterable<Message<T>> {
    #private;
    state: State;
    /** The transport in use, or the last one. */
    transport?: string;
    cursor: string;
    constructor(where: Where, options?: Options<T>);
    on<K extends keyof Events<T>>(event: K, listener: Events<T>[K]): this;
    off<K extends keyof Events<T>>(event: K, listener: Events<T>[K]): this;
    /** Posts a message to the channel; resolves to its cursor. Retrying with the same `key` appends nothing twice. */
    publish(data: BodyInit, options?: {
        event?: string;
        contentType?: string;
        key?: string;
    }): Promise<string>;
    /** Ends it. Nothing is delivered, and nothing throws, afterwards. */
    close(): void;
    [Symbol.asyncIterator](): AsyncIterator<Message<T>>;
    /** Delivers what came, from the server or from the tab that has the connection. @internal */
    take(object: Record<string, any>, transport: string): void;
    /** Reads on from the cursor until there is nothing more. @internal */
    catchUp(): Promise<void>;
}
export {};
