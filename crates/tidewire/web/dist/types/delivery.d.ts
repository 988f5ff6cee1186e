import type { Events, Gap, Message, Options } from './types.js';
/** Calls a function of the page. An exception is reported, and does not affect other listeners. */
export declare function guarded<R>(call: () => R, report?: (error: unknown) => void): R | undefined;
/**
 * The listeners and iterators, and their positions. `head` is the position after all messages that
 * the transports have received: the next attempt continues there. `cursor` is the position after
 * the messages that were delivered. It waits for the slowest iterator.
 */
export declare function delivery<T>({ parse, since, storage }: Options<T>, isClosed: () => boolean, close: () => void): {
    listeners: {
        message: Set<(message: Message<T>) => void>;
        gap: Set<(gap: Gap) => void>;
        end: Set<(end: import("./types.js").End) => void>;
        state: Set<(state: import("./types.js").State) => void>;
        error: Set<(failure: import("./types.js").Failure) => void>;
    };
    tell: <K extends keyof Events<T>>(event: K, value: Parameters<Events<T>[K]>[0]) => void;
    cursor: () => string;
    head: () => string;
    /** The number of listeners and iterators for messages. Without any, a message would be lost. */
    audience: () => number;
    /** Whether nothing will come: all channels have ended, or one was deleted. */
    isOver: () => boolean;
    /** Answers the calls of `next` that wait, because nothing will come. */
    leaveAll: () => void;
    /** Drops what the iterators have not taken. */
    drop: () => boolean;
    /**
     * Delivers an object of the server, then moves the cursor. `seen` is the position before it, of
     * the transport or of the leading tab. Returns whether it was new. Throws if messages are
     * missing, or if the transport is behind.
     */
    take(object: Record<string, any>, transport: string, seen: string): boolean;
    iterate(): AsyncIterator<Message<T>>;
};
