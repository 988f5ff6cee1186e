import type { State } from './types.js';
/** What one tab tells the others: an object of the server, and its cursor before that; or how the connection is. */
interface Told {
    object?: Record<string, any>;
    from?: string;
    transport?: string;
    state?: State;
}
/** A subscription, as its tabs see it. */
export interface Tab {
    head(): string;
    take(object: Record<string, any>, transport: string): void;
    become(state: State): void;
    /** Reads up to the newest message by itself, unless it is over before that. */
    catchUp(over: () => boolean): Promise<void>;
    /** Cuts that short. */
    interrupt(): void;
}
export interface Tabs {
    /** Waits until this tab leads, and connects. Resolves when the connection ends. */
    lead(connect: () => Promise<void>): Promise<void>;
    /** Reads what this tab may have missed. */
    follow(): void;
    tell(told: Told): void;
}
/**
 * One connection for all tabs. The tab that holds the lock has the connection and tells the others what comes; when it closes, crashes or
 * pauses, the lock passes on, and the next tab goes on at its own cursor.
 *
 * A tab hears a message only if it knows what came before: whoever joined late, slept, or was left out reads up to the others first.
 */
export declare function share(name: string, { head, take, become, catchUp, interrupt }: Tab, closing: AbortSignal): Tabs;
export {};
