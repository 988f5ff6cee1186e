import { further } from './cursor.js';
import type { Events, Message, Options } from './types.js';

/** A result of an iterator, with the cursor before it. */
interface Result<T> {
  before: string;
  value: Message<T>;
  done: false;
}

/** An iterator: the results that nobody has taken yet, and the calls of `next` that wait. */
interface Reader<T> {
  queue: Result<T>[];
  asking: ((result: Result<T> | typeof DONE) => void)[];
}

const DONE = { value: undefined, done: true } as const;

/** Calls a function of the page. An exception is reported, and does not affect other listeners. */
export function guarded<R>(call: () => R, report: (error: unknown) => void = console.error): R | undefined {
  try {
    return call();
  } catch (error) {
    report(error);
  }
}

/**
 * The listeners and iterators, and their positions. `head` is the position after all messages that
 * the transports have received: the next attempt continues there. `cursor` is the position after
 * the messages that were delivered. It waits for the slowest iterator.
 */
export function delivery<T>(
  { parse, since, storage }: Options<T>,
  isClosed: () => boolean,
  close: () => void,
) {
  const listeners: { [K in keyof Events<T>]: Set<Events<T>[K]> } = {
    message: new Set(),
    gap: new Set(),
    state: new Set(),
    error: new Set(),
  };
  const readers = new Set<Reader<T>>();
  let head = guarded(() => storage?.get()) || since || 'now';

  // All iterators get the same messages. So the one with the longest queue has the oldest message.
  const cursor = () =>
    [...readers].sort((a, b) => b.queue.length - a.queue.length)[0]?.queue[0]?.before ?? head;
  const moved = () => guarded(() => storage?.set(cursor()));
  const tell = <K extends keyof Events<T>>(event: K, value: Parameters<Events<T>[K]>[0]) => {
    for (const listener of listeners[event]) guarded(() => (listener as (value: unknown) => void)(value));
  };
  const leave = ({ asking }: Reader<T>) => asking.splice(0).forEach((answer) => answer(DONE));

  return {
    listeners,
    tell,
    cursor,
    head: () => head,
    /** The number of listeners and iterators for messages. Without any, a message would be lost. */
    audience: () => listeners.message.size + readers.size,
    leaveAll: () => readers.forEach(leave),

    /** Delivers an object of the server, then moves the cursor. Returns whether it was new. */
    take(object: Record<string, any>, transport: string): boolean {
      const {
        type,
        cursor,
        channel,
        time,
        event,
        content_type: contentType,
        data: text,
        data_b64: base64,
        reason = type,
        missed,
      } = object;
      if (!cursor) return false;
      // A reset may move the cursor back. Any other object that ends before the head was delivered
      // already, over another transport.
      const after = type === 'reset' ? cursor : further(head, cursor);
      if (after === head) return false;
      if (type === 'message') {
        const message = guarded(
          (): Message<T> => ({
            cursor,
            channel,
            time,
            event,
            contentType,
            data: text === undefined ? bytes(base64) : parse ? parse(text) : text,
            transport,
          }),
          (error) => tell('error', { transport, detail: String(error), cursor }),
        );
        if (message) {
          tell('message', message);
          const result: Result<T> = { before: head, value: message, done: false };
          for (const { asking, queue } of readers)
            asking.length ? asking.shift()!(result) : queue.push(result);
        }
      } else if (type === 'gap' || type === 'reset') {
        const gap = { reason, missed, cursor };
        if (!listeners.gap.size) console.warn('tidewire gap', gap);
        tell('gap', gap);
      }
      head = after;
      moved();
      return type !== 'hello';
    },

    iterate(): AsyncIterator<Message<T>> {
      const reader: Reader<T> = { queue: [], asking: [] };
      readers.add(reader);
      return {
        async next() {
          if (isClosed() || !readers.has(reader)) return DONE;
          const first = reader.queue.shift();
          if (!first) return new Promise((answer) => reader.asking.push(answer));
          moved();
          return first;
        },
        async return() {
          leave(reader);
          if (listeners.message.size || readers.size > 1) readers.delete(reader);
          else close(); // The reader stays in the set, because the cursor is its position.
          return DONE;
        },
      };
    },
  };
}

function bytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}
