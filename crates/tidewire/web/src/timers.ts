/** The longest time, in milliseconds: eleven days. A timer has 31 bits; with more, it would be over at once. */
export const LONGEST = 1e9;

/** Calls `then` in so many milliseconds. What is longer than the longest time, or `NaN`, is cut to it. */
export function later(then: () => void, ms: number): ReturnType<typeof setTimeout> {
  return setTimeout(then, ms < LONGEST ? ms : LONGEST);
}

/** Waits, or less: `cut` is given what ends it. */
export function sleep(ms: number, cut: (end: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = later(resolve, ms);
    cut(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
