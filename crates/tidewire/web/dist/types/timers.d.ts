/**
 * The longest time, in milliseconds: eleven days. Timers have 31 bits, and a longer time would end
 * at once.
 */
export declare const LONGEST = 1000000000;
/**
 * Calls `then` after `ms` milliseconds. A longer time than the longest, and `NaN`, count as that.
 */
export declare function later(then: () => void, ms: number): ReturnType<typeof setTimeout>;
/** Waits for `ms` milliseconds. `cut` gets a function that ends the wait early. */
export declare function sleep(ms: number, cut: (end: () => void) => void): Promise<void>;
