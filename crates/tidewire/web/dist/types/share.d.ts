import type { Subscription } from './subscription.js';
/**
 * One connection for all tabs. The tab that holds the lock has the connection and tells the others what comes; when it closes, the
 * lock passes on, and the next tab goes on at its own cursor.
 */
export declare function share(name: string, mine: Subscription<any>, connect: () => Promise<void>, signal: AbortSignal): void;
