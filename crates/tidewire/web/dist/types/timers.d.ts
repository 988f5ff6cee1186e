/** The longest time, in milliseconds: eleven days. A timer has 31 bits; with more, it would be over at once. */
export declare const LONGEST = 1000000000;
/** Calls `then` in so many milliseconds. What is longer than the longest time, or `NaN`, is cut to it. */
export declare function later(then: () => void, ms: number): ReturnType<typeof setTimeout>;
/** Waits, or less: `cut` is given what ends it. */
export declare function sleep(ms: number, cut: (end: () => void) => void): Promise<void>;
