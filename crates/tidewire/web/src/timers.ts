/**
 * The longest time, in milliseconds: eleven days. Timers have 31 bits, and a longer time would end
 * at once.
 */
export const LONGEST = 1e9;

/**
 * Calls `then` after `ms` milliseconds. A longer time than the longest, and `NaN`, count as that.
 */
export function later(then: () => void, ms: number): ReturnType<typeof setTimeout> {
  return setTimeout(then, ms < LONGEST ? ms : LONGEST);
}

/** Waits for `ms` milliseconds. `cut` gets a function that ends the wait early. */
export function sleep(ms: number, cut: (end: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = later(resolve, ms);
    cut(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
