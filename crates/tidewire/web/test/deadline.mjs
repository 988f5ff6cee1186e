// The deadlines of the tests. Each is for a whole wait, not for each read: a server that sends
// heartbeats must not keep a test alive.
import assert from 'node:assert/strict';
import { test as plain } from 'node:test';

// Some tests replace the timers of the process.
const { setTimeout, clearTimeout } = globalThis;

/** How many milliseconds a test waits for what comes at once. A busy machine may need seconds. */
export const PATIENCE = 60_000;

/** A test has several waits. One that hangs anywhere else fails after this time, with its name. */
export const test = (name, run) => plain(name, { timeout: 3 * PATIENCE }, run);

/** How much a failure shows of what came instead. */
const SHOWN = 2000;

/** The last part of what came, as a failure shows it. */
export function shown(value) {
  const isText = typeof value === 'string' || value instanceof Error;
  const text = isText ? String(value) : JSON.stringify(value);
  return text?.length > SHOWN ? `… ${text.slice(-SHOWN)}` : text;
}

/** Resolves like the promise, or to `LATE` after this time. */
async function atMost(time, promise) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, time, LATE)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const LATE = Symbol('late');

/** Fails. The message says what was awaited, and what `came` returns. */
async function fail(what, time, came) {
  // A page that hangs does not answer this either.
  const found = await atMost(5_000, Promise.resolve().then(came)).catch((error) => error);
  const text = found === LATE ? 'no answer' : shown(found);
  assert.fail(`not within ${time / 1000} s: ${what} (came instead: ${text})`);
}

/** Resolves like the promise, or fails after a minute. `came` returns what came instead. */
export async function within(what, promise, came = () => undefined, time = PATIENCE) {
  const first = await atMost(time, promise);
  return first === LATE ? fail(what, time, came) : first;
}

/**
 * Waits until a condition holds, and resolves to what it returned. It may fail as long as it is
 * tried again. `found` says what there is instead; without it, the message has the last result.
 */
export async function until(what, condition, found) {
  const end = Date.now() + PATIENCE;
  for (let last; ; ) {
    const left = end - Date.now();
    if (left <= 0) return fail(what, PATIENCE, found ?? (() => last));
    try {
      const now = await atMost(left, Promise.resolve().then(condition));
      if (now !== LATE) last = now;
      if (now && now !== LATE) return now;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
