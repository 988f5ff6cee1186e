import type { Events, Message, Options } from './types.js';
/** Calls what the page gave us. Its fault is its own: it is reported, and nobody else misses anything. */
export declare function guarded<R>(call: () => R, report?: (error: unknown) => void): R | undefined;
/**
 * Who hears, and how far they are. `head` is what the transports have brought, where the next attempt goes on; `cursor` is what was delivered,
 * and waits for whoever iterates.
 */
export declare function delivery<T>({ parse, since, storage }: Options<T>, isClosed: () => boolean, close: () => void): {
    listeners: {
        message: Set<(message: Message<T>) => void>;
        gap: Set<(gap: import("./types.js").Gap) => void>;
        state: Set<(state: import("./types.js").State) => void>;
        error: Set<(failure: import("./types.js").Failure) => void>;
    };
    tell: <K extends keyof Events<T>>(event: K, value: Parameters<Events<T>[K]>[0]) => void;
    cursor: () => string;
    head: () => string;
    /** A message that nobody hears would be lost. */
    audience: () => number;
    leaveAll: () => void;
    /** Delivers what came; the cursor moves when that is done. Says whether it was news. */
    take(object: Record<string, any>, transport: string): boolean;
    iterate(): AsyncIterator<Message<T>>;
};
