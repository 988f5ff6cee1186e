// What the page knows about the channel's log: the newest message, the oldest message that is kept,
// and when each message of this page was published.
import { Memory } from './ring.js';

const KNOWN = 4096;

/** Returns the number in a cursor `EPOCH-N`: that of the message before this position. */
export const number = (cursor) => Number(cursor.slice(cursor.lastIndexOf('-') + 1));

export class Journal {
  constructor(channel) {
    this.channel = channel;
    this.url = `/c/${encodeURIComponent(channel)}`;
    this.reset();
  }

  reset() {
    this.epoch = null;
    this.head = 0;
    /** The cursor after the newest message. */
    this.latest = null;
    /** The oldest message that the log keeps. */
    this.oldest = 1;
    this.times = new Memory(KNOWN);
    this.sizes = new Memory(KNOWN);
    this.waiting = new Memory(KNOWN);
  }

  /** Any part of the page has seen a cursor. A log that began anew has another epoch. */
  saw(cursor) {
    const epoch = cursor.slice(0, cursor.lastIndexOf('-'));
    if (epoch === '0') return;
    if (this.epoch && epoch !== this.epoch) this.reset();
    this.epoch = epoch;
    if (number(cursor) < this.head) return;
    this.head = number(cursor);
    this.latest = cursor;
  }

  /** The server has confirmed a message of this page. */
  published(cursor, at, size) {
    this.saw(cursor);
    const n = number(cursor);
    this.times.set(n, at);
    this.sizes.set(n, size);
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
    this.saw((await answer.json()).cursor);
  }

  /** Asks for the oldest message that the server keeps. */
  async observe() {
    const before = this.epoch;
    const answer = await fetch(`${this.url}?since=earliest&limit=1`);
    if (!answer.ok) return;
    const { messages, cursor } = await answer.json();
    this.saw(cursor);
    if (before && before !== this.epoch) return;
    this.oldest = messages.length ? number(messages[0].cursor) : number(cursor) + 1;
  }
}
