// What this page knows of the channel's log: the newest message, the oldest that is kept, and when each of its own was published.
import { Memory } from './ring.js';

const KNOWN = 4096;

/** The number in a cursor `EPOCH-N`: how many messages the log had. */
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

  /** A cursor was seen, wherever. A log that began anew has another epoch. */
  saw(cursor) {
    const epoch = cursor.slice(0, cursor.lastIndexOf('-'));
    if (epoch === '0') return;
    if (this.epoch && epoch !== this.epoch) this.reset();
    this.epoch = epoch;
    if (number(cursor) < this.head) return;
    this.head = number(cursor);
    this.latest = cursor;
  }

  /** A message of this page got its place. */
  published(cursor, at, size) {
    this.saw(cursor);
    const n = number(cursor);
    this.times.set(n, at);
    this.sizes.set(n, size);
    for (const arrival of this.waiting.get(n) ?? []) arrival(at);
    this.waiting.delete(n);
  }

  /** Tells `then` when message `n` was published: now, or when its acknowledgement comes, which may be later than the message. */
  whenPublished(n, then) {
    const at = this.times.get(n);
    if (at !== undefined) then(at);
    else this.waiting.set(n, [...(this.waiting.get(n) ?? []), then]);
  }

  /** Asks where the log stands, so that all lanes begin at one place. */
  async begin() {
    const answer = await fetch(`${this.url}?since=now`);
    this.saw((await answer.json()).cursor);
  }

  /** Asks the server what it still keeps. */
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
