import type { State } from './types.js';
/**
 * A message from the leading tab to the others: an object of the server with the cursor before it,
 * or the state of the connection.
 */
interface Told {
    object?: Record<string, any>;
    from?: string;
    transport?: string;
    state?: State;
}
/** The parts of a subscription that this file uses. */
export interface Tab {
    /** Delivers an object of a tab that was at `seen`. Throws if messages before it are missing. */
    take(object: Record<string, any>, transport: string, seen: string): void;
    become(state: State): void;
    /** Reads from the server up to the newest message, or until `over` returns true. */
    catchUp(over: () => boolean): Promise<void>;
    /** Ends the connection in use, or the wait. */
    interrupt(): void;
}
export interface Tabs {
    /** Waits until this tab leads, then connects. Resolves when the connection ends. */
    lead(connect: () => Promise<void>): Promise<void>;
    /** Reads messages that this tab may have missed. */
    follow(): void;
    tell(told: Told): void;
}
/**
 * One connection for all tabs. The tab that holds the lock has the connection and passes all
 * objects on to the others. When it closes, crashes or pauses, the next tab gets the lock and
 * continues at its own cursor.
 *
 * A tab accepts a message only if it has all messages before it. A tab that joined late, slept or
 * missed a message first reads from the server until it has caught up.
 */
export declare function share(name: string, { take, become, catchUp, interrupt }: Tab, closing: AbortSignal): Tabs;
export {};
