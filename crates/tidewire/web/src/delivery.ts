import { further } from './cursor.js';
import type { Events, Message, Options } from './types.js';

/** What an iterator gives, with the cursor before it. */
interface Result<T> {
  before: string;
  value: Message<T>;
  done: false;
}

/** An iterator: what it was not asked for yet, and who asks already. */
interface Reader<T> {
  queue: Result<T>[];
  asking: ((result: Result<T> | typeof DONE) => void)[];
}

const DONE = { value: undefined, done: true } as const;

/** Calls what the page gave us. Its fault is its own: it is reported, and nobody else misses anything. */
export function guarded<R>(call: () => R, report: (error: unknown) => void = console.error): R | undefined {
  try {
    return call();
  } catch (error) {
    report(error);
  }
}

/**
 * Who hears, and how far they are. `head` is what the transports have brought, where the next attempt goes on; `cursor` is what was delivered,
 * and waits for whoever iterates.
 */
export function delivery<T>({ parse, since, storage }: Options<T>, isClosed: () => boolean, close: () => void) {
  const listeners: { [K in keyof Events<T>]: Set<Events<T>[K]> } = {
    message: new Set(),
    gap: new Set(),
    state: new Set(),
    error: new Set(),
  };
  const readers = new Set<Reader<T>>();
  let head = guarded(() => storage?.get()) || since || 'now';

  // Everybody waits for the same messages: whoever waits for the most has the oldest.
  const cursor = () => [...readers].sort((a, b) => b.queue.length - a.queue.length)[0]?.queue[0]?.before ?? head;
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
    /** A message that nobody hears would be lost. */
    audience: () => listeners.message.size + readers.size,
    leaveAll: () => readers.forEach(leave),

    /** Delivers what came; the cursor moves when that is done. Says whether it was news. */
    take(object: Record<string, any>, transport: string): boolean {
      const { type, cursor, channel, time, event, content_type: contentType, data: text, data_b64: base64, reason = type, missed } = object;
      if (!cursor) return false;
      // A reset may lead back. All else that ends before the head came already, over another transport.
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
          for (const { asking, queue } of readers) asking.length ? asking.shift()!(result) : queue.push(result);
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
          else close(); // The reader stays: the cursor is where it left.
          return DONE;
        },
      };
    },
  };
}

function bytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}
