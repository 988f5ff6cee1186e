import { lineage } from './cursor.js';
import type { Events, Gap, Message, Options } from './types.js';

/** A result of an iterator, with the cursor before it. */
interface Result<T> {
  before: string;
  value: Message<T>;
  done: false;
}

/**
 * An iterator: the results that nobody has taken yet, the calls of `next` that wait, and the error
 * that it throws at the end.
 */
interface Reader<T> {
  queue: Result<T>[];
  asking: ((result: Answer<T> | Promise<Answer<T>>) => void)[];
  next(): Promise<Answer<T>>;
  failure?: Error;
}

type Answer<T> = Result<T> | typeof DONE;

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
    end: new Set(),
    state: new Set(),
    error: new Set(),
  };
  const readers = new Set<Reader<T>>();
  const { step, reset, move } = lineage();
  let head = guarded(() => storage?.get()) || since || 'now';
  /** The channels that have ended: their names, or `undefined` if there is only one. */
  const ended = new Set<string | undefined>();
  /** Whether all channels have ended, or one was deleted. Iterators then return what they have. */
  let over = false;
  let failure: Error | undefined;
  /** Where a hole was met. A second hole at the same place is reported as a gap. */
  let hole: string | undefined;

  // All iterators get the same messages. So the one with the longest queue has the oldest message.
  const cursor = () =>
    [...readers].sort((a, b) => b.queue.length - a.queue.length)[0]?.queue[0]?.before ?? head;
  const moved = () => guarded(() => storage?.set(cursor()));
  const tell = <K extends keyof Events<T>>(event: K, value: Parameters<Events<T>[K]>[0]) => {
    for (const listener of listeners[event]) guarded(() => (listener as (value: unknown) => void)(value));
  };
  const leave = ({ asking, next }: Reader<T>) => asking.splice(0).forEach((answer) => answer(next()));

  const deleted = (transport: string, channel: string) => {
    const detail = `the channel was deleted: ${channel}`;
    failure = Object.assign(new Error(detail), { status: 404, channel });
    for (const reader of readers) reader.failure = failure;
    over = true;
    tell('error', { transport, status: 404, detail, channel });
    return true;
  };
  const report = (gap: Gap) => {
    if (!listeners.gap.size) console.warn('tidewire gap', gap);
    tell('gap', gap);
  };

  return {
    listeners,
    tell,
    cursor,
    head: () => head,
    /** The number of listeners and iterators for messages. Without any, a message would be lost. */
    audience: () => listeners.message.size + readers.size,
    /** Whether nothing will come: all channels have ended, or one was deleted. */
    isOver: () => over,
    /** Answers the calls of `next` that wait, because nothing will come. */
    leaveAll: () => readers.forEach(leave),
    /** Drops what the iterators have not taken. */
    drop: () => (over = false),

    /**
     * Delivers an object of the server, then moves the cursor. `seen` is the position before it, of
     * the transport or of the leading tab. Returns whether it was new. Throws if messages are
     * missing, or if the transport is behind.
     */
    take(object: Record<string, any>, transport: string, seen: string): boolean {
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
      if (type === 'deleted') return deleted(transport, channel);
      if (!cursor) return false;
      const isReset = type === 'reset';
      const isLost = reason === 'tail-lost';
      const isGap = isReset || type === 'gap';
      // These say where the transport is. Each of several channels has told its own end.
      const isPlace = type === 'hello' || (type === 'end' && !channel && /\./.test(cursor));
      // A reset may move the cursor back. Any other object that ends before the head was delivered
      // already, over another transport.
      const [after, missing] = isReset
        ? [reset(head, seen, cursor, isLost), 0]
        : step(head, seen, cursor, isGap, isPlace ? 0 : 1);
      const isEnd = type === 'end' && !ended.has(channel);
      // The end of a log that lost its tail is not the end of the log that followed. With several
      // channels, the object may be behind in the others.
      const [mine, saw] = [after.split('.'), channel ? seen.split('.') : []];
      if (isEnd && cursor.split('.').some((one: string, i: number) => one !== mine[i] && one !== saw[i]))
        throw new Error('the transport is behind');
      if (after === head && !isEnd) return false;
      if (missing > 0 && !isGap) {
        // Numbers have no holes in a log, so the feed has lost something. The log may have it.
        if (hole !== head) {
          hole = head;
          throw new Error('a hole in the feed');
        }
        report({ reason: 'hole', missed: missing, cursor: head });
      }
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
      } else if (isGap) report({ reason, missed, cursor });
      move(head, after, isLost, isReset && !isLost);
      head = after;
      if (isReset) ended.clear();
      moved();
      if (isEnd) {
        ended.add(channel);
        tell('end', { cursor, channel });
        over = !channel || ended.size >= head.split('.').length;
      }
      return type !== 'hello';
    },

    iterate(): AsyncIterator<Message<T>> {
      let left = false;
      const reader: Reader<T> = {
        queue: [],
        asking: [],
        failure,
        async next() {
          if (left || (isClosed() && !over)) return DONE;
          const first = reader.queue.shift();
          if (first) {
            moved();
            return first;
          }
          if (!over) return new Promise((answer) => reader.asking.push(answer));
          const error = reader.failure;
          delete reader.failure;
          if (error) throw error;
          return DONE;
        },
      };
      readers.add(reader);
      return {
        next: reader.next,
        async return() {
          left = true;
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
