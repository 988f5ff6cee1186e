// What the page knows about the channel's log: the newest message, the oldest message that is kept,
// and when each message of this page was published.
import { Memory } from './ring.js';

const KNOWN = 4096;

/** Returns the number in a cursor `EPOCH-N`: that of the message before this position. */
export const number = (cursor) => Number(cursor.slice(cursor.lastIndexOf('-') + 1));

export class Journal {
  constructor(channel) {
    this.channel = channel;
    // All characters of a name may stand in a path as they are, also the `/` between segments.
    this.url = `/c/${channel}`;
    this.reset();
  }

  reset() {
    this.epoch = null;
    /** The epochs before it: numbers go on when a new one begins. */
    this.past = new Memory(KNOWN);
    /** The position after the end, if the channel has ended. */
    this.end = null;
    /** Whether the channel was deleted. Then there is nothing to ask for. */
    this.isDeleted = false;
    this.head = 0;
    /** The cursor after the newest message. */
    this.latest = null;
    /** The oldest message that the log keeps. */
    this.oldest = 1;
    this.times = new Memory(KNOWN);
    /** The lengths of the messages of this page, and their cursors. */
    this.sent = new Memory(KNOWN);
    this.waiting = new Memory(KNOWN);
  }

  /**
   * Any part of the page has seen a cursor. A log that began anew has another epoch, and smaller
   * numbers.
   */
  saw(cursor) {
    const epoch = cursor.slice(0, cursor.lastIndexOf('-'));
    if (epoch === '0' || this.past.has(epoch)) return;
    if (this.epoch && epoch !== this.epoch) {
      if (number(cursor) <= this.head) this.reset();
      else this.past.set(this.epoch, true);
    }
    this.epoch = epoch;
    if (number(cursor) < this.head) return;
    this.head = number(cursor);
    this.latest = cursor;
  }

  /** A lane has reached the end. No message has its number. */
  sawEnd(cursor) {
    this.end = cursor;
    this.head = Math.max(this.head, number(cursor) - 1);
    this.latest ??= cursor;
  }

  /** The server has confirmed a message of this page. */
  published(cursor, at, size) {
    this.saw(cursor);
    const n = number(cursor);
    this.times.set(n, at);
    this.sent.set(n, { size, cursor });
    for (const arrival of this.waiting.get(n) ?? []) arrival(at);
    this.waiting.delete(n);
  }

  /**
   * Calls `then` with the time at which message `n` was published: at once, or when its
   * acknowledgement arrives. That may be later than the message.
   */
  whenPublished(n, then) {
    const at = this.times.get(n);
    if (at !== undefined) then(at);
    else this.waiting.set(n, [...(this.waiting.get(n) ?? []), then]);
  }

  /** Asks for the newest cursor, so that all lanes begin at the same position. */
  async begin() {
    const answer = await fetch(`${this.url}?since=now`);
    const { cursor, closed, reason } = await answer.json();
    if (closed) this.sawEnd(cursor);
    // There is no position in a channel that was deleted. The lanes are told the same.
    else if (reason === 'deleted') this.latest = '0-0';
    else this.saw(cursor);
  }

  /** Asks for the oldest message that the server keeps. */
  async observe() {
    if (this.isDeleted) return;
    const before = this.epoch;
    const answer = await fetch(`${this.url}?since=earliest&limit=1`);
    if (!answer.ok) return;
    const { messages, cursor, closed } = await answer.json();
    if (!closed) this.saw(cursor);
    if (before && before !== this.epoch) return;
    this.oldest = messages.length ? number(messages[0].cursor) : number(cursor) + !closed;
  }
}
