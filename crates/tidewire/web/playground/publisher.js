// Publishes with POST over a wire of its own, with many requests in flight. Each has an idempotency
// key. So a request whose answer was lost can be sent again, and its message is appended only once.
import { Answers, join, request, utf8 } from './http.js';
import { Trace } from './trace.js';
import { Wire } from './wire.js';

/** The most requests in flight. */
const AHEAD = 32;

/** The most messages that wait to be sent. */
const QUEUE = 5000;

export class Publisher {
  constructor(journal, settings) {
    Object.assign(this, { journal, settings, wire: null, queue: [], sent: [] });
    this.trace = new Trace();
    this.total = 0;
    this.up = 0;
    this.trouble = '';
    this.onAcknowledged = () => {};
  }

  /**
   * Publishes messages `{text, event}`, over the WebSocket of `lane` if it is given, or with POST.
   */
  publish(messages, lane) {
    for (const message of messages.slice(0, QUEUE - this.queue.length)) {
      if (lane?.client?.publish) this.#overWebSocket(lane, message);
      else this.queue.push({ ...message, key: crypto.getRandomValues(new Uint32Array(2)).join('-') });
    }
    this.#pump();
  }

  #overWebSocket(lane, { text, event }) {
    const at = performance.now();
    lane.client.publish({ event, data: text }, (cursor) => this.#acknowledged(cursor, at, utf8(text).length));
  }

  #acknowledged(cursor, at, size) {
    this.total++;
    this.journal.published(cursor, at, size);
    this.onAcknowledged(cursor);
  }

  #pump() {
    if (!this.queue.length && !this.sent.length) return;
    if (!this.wire) return this.#connect();
    if (!this.wire.opened) return;
    let bytes = new Uint8Array(0);
    const at = performance.now();
    while (this.queue.length && this.sent.length < AHEAD) {
      const message = Object.assign(this.queue.shift(), { at });
      this.sent.push(message);
      bytes = join(bytes, this.#request(message));
    }
    if (!bytes.length) return;
    this.up += bytes.length;
    this.wire.send(bytes);
  }

  #request({ text, event, key }) {
    const query = event ? `?event=${encodeURIComponent(event)}` : '';
    const fields = { ...this.settings.fields(), 'Content-Type': 'text/plain', 'Idempotency-Key': key };
    return request('POST', `${this.journal.url}${query}`, fields, utf8(text));
  }

  #connect() {
    let head, body;
    const answers = new Answers({
      head: (it) => ([head, body] = [it, new Uint8Array(0)]),
      data: (bytes) => (body = join(body, bytes)),
      end: () => {
        const { text, at } = this.sent.shift();
        const answer = JSON.parse(new TextDecoder().decode(body));
        if (head.status < 300) this.#acknowledged(answer.cursor, at, utf8(text).length);
        else this.trouble = answer.detail;
      },
    });
    this.wire = new Wire(this.trace, {
      open: () => {
        this.trouble = '';
        this.wire.grant();
        this.#pump();
      },
      down: (bytes) => {
        answers.push(bytes);
        this.wire?.grant();
        this.#pump();
      },
      end: (why) => {
        this.wire = null;
        // Requests without an answer are sent again first, with the same keys.
        this.queue.unshift(...this.sent.splice(0));
        if (this.queue.length) setTimeout(() => this.#pump(), why === 'refused' ? 5000 : 1000);
      },
    });
  }

  close() {
    this.queue = [];
    this.sent = [];
    this.wire?.close();
    this.wire = null;
  }
}
