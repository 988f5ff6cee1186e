import { further } from './cursor.js';
import type { Events, Message, Options } from './types.js';

/** An iterator: what it was not asked for yet, each with the cursor before it, and who asks already. */
interface Reader<T> {
  queue: { before: string; message: Message<T> }[];
  asking: ((result: IteratorResult<Message<T>>) => void)[];
}

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
  const done = { value: undefined, done: true } as const;
  let head = guarded(() => storage?.get()) || since || 'now';

  const cursor = () => {
    let oldest = head;
    let most = 0;
    for (const { queue } of readers) if (queue.length > most) [most, oldest] = [queue.length, queue[0]!.before];
    return oldest;
  };
  const moved = () => guarded(() => storage?.set(cursor()));
  const tell = <K extends keyof Events<T>>(event: K, value: Parameters<Events<T>[K]>[0]) => {
    for (const listener of listeners[event]) guarded(() => (listener as (value: unknown) => void)(value));
  };
  const leave = ({ asking }: Reader<T>) => asking.splice(0).forEach((answer) => answer(done));

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
      const { type, cursor, data: text } = object;
      const isMessage = type === 'message';
      if (!cursor) return false;
      // A reset may lead back. All else that ends before the head came already, over another transport.
      const after = type === 'reset' ? cursor : further(head, cursor);
      if (after === head) return false;
      if (isMessage) {
        const message = guarded(
          (): Message<T> => {
            const { channel, time, event, content_type: contentType } = object;
            const data = text === undefined ? bytes(object.data_b64) : parse ? parse(text) : text;
            return { cursor, channel, time, event, contentType, data, transport };
          },
          (error) => tell('error', { transport, detail: String(error), cursor }),
        );
        if (message) {
          tell('message', message);
          for (const { asking, queue } of readers) {
            const answer = asking.shift();
            answer ? answer({ value: message, done: false }) : queue.push({ before: head, message });
          }
        }
      } else if (type === 'gap' || type === 'reset') {
        const gap = { reason: object.reason ?? type, missed: object.missed, cursor };
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
          if (isClosed() || !readers.has(reader)) return done;
          const first = reader.queue.shift();
          if (!first) return new Promise((answer) => reader.asking.push(answer));
          moved();
          return { value: first.message, done: false };
        },
        async return() {
          leave(reader);
          if (listeners.message.size || readers.size > 1) readers.delete(reader);
          else close(); // The reader stays: the cursor is where it left.
          return done;
        },
      };
    },
  };
}

function bytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}
