// A lane: one technique that reads the channel. It has a wire, a position in the log and the
// measurements. A client speaks the protocol of the technique (polls.js, streams.js, websocket.js).
//
//   Client: start()      the wire is open: send a request
//           push(bytes)  the bytes of one read
//           finish()     the connection ended
//           resumed?()   reading continues after a pause
//           busy?()      whether a step is not finished: the client waits for an answer
import { number } from './journal.js';
import { utf8 } from './http.js';
import { Median, Ring } from './ring.js';
import { Trace } from './trace.js';
import { MAX_READ, Wire, whyRefused } from './wire.js';

/** A slow reader reads this many bytes at this interval (ms). */
const SLOW = { bytes: 16, every: 250 };

export class Lane {
  constructor(technique, journal, settings) {
    Object.assign(this, { technique, journal, settings, wire: null, client: null });
    this.on = this.paused = this.stepping = this.slow = false;
    this.setting = technique.setting?.value;
    this.state = 'off';
    this.detail = '';
    this.cursor = null;
    /** `ended` or `deleted`, if the channel is. Then nothing reconnects. */
    this.over = null;
    this.timeline = new Ring(600);
    this.spans = new Ring(80);
    this.messages = new Ring(30);
    this.trace = new Trace();
    this.zero();
  }

  /** Resets the measurements. */
  zero() {
    this.count = {
      requests: 0,
      empty: 0,
      connections: 0,
      reconnects: 0,
      up: 0,
      down: 0,
      payload: 0,
      messages: 0,
      gaps: 0,
      missed: 0,
      unreported: 0,
    };
    this.latency = new Median();
  }

  /** The bytes per message that are not payload. */
  get overhead() {
    const { up, down, payload, messages } = this.count;
    return messages ? (up + down - payload) / messages : null;
  }

  start() {
    if (this.on) return;
    this.on = true;
    this.over = null;
    this.cursor = this.journal.latest;
    this.#connect();
  }

  /** Switches the lane off and forgets its position in the log. */
  stop() {
    this.on = this.paused = this.stepping = this.slow = false;
    clearTimeout(this.retry);
    clearTimeout(this.drip);
    this.wire?.close();
    this.#disconnected('off');
    this.cursor = null;
  }

  pause() {
    this.paused = true;
    this.#pump();
  }

  resume() {
    this.paused = this.stepping = false;
    if (!this.wire && this.on && this.state === 'idle') this.#connect();
    this.#pump();
    this.client?.resumed?.();
  }

  /** Does one read, or one request with its answer. */
  step() {
    if (!this.paused) this.pause();
    this.stepping = true;
    this.client?.resumed?.();
    this.#pump();
  }

  readSlowly(slow) {
    this.slow = slow;
    // The last permission was for a larger read. It is valid until the next one.
    if (slow) this.wire?.grant(0);
    this.#pump();
  }

  cut() {
    this.wire?.cut();
  }

  /** Whether the client may send a request now. */
  get mayAsk() {
    return !this.paused || this.stepping;
  }

  // Called by the clients.

  /** Sends a request. */
  ask(bytes) {
    this.count.requests++;
    this.mark('request');
    this.send(bytes);
  }

  send(bytes) {
    this.count.up += bytes.length;
    this.wire?.send(bytes);
  }

  /** An answer has arrived. It is empty if it has no message. */
  answered(empty) {
    if (empty) this.count.empty++;
    this.mark(empty ? 'empty' : 'answer');
  }

  /** The server now holds a request or a stream open. The caller sets `to` when that ends. */
  hold(kind) {
    return this.spans.push({ kind, from: performance.now(), to: null });
  }

  /** Handles an object of the JSON feeds. */
  object(object) {
    switch (object.type) {
      case 'hello':
        return; // it repeats the position of the request
      case 'message':
        return this.message(object.cursor, object.data ?? atob(object.data_b64 ?? ''), object.event);
      case 'gap':
      case 'reset':
        return this.gap(object);
      case 'end':
        return this.end(object.cursor);
      case 'deleted':
        return this.deleted();
      case 'heartbeat':
        return this.mark('beat');
    }
  }

  message(cursor, data, event) {
    const now = performance.now();
    const n = number(cursor);
    if (n !== number(this.cursor) + 1) this.count.unreported += 1;
    this.moved(cursor);
    this.count.messages++;
    this.count.payload += utf8(data).length;
    const mark = this.mark('message', { n, published: null });
    this.messages.push({ n, data: data.length > 200 ? `${data.slice(0, 200)}…` : data, event });
    this.journal.whenPublished(n, (at) => {
      mark.published = at;
      this.latency.add(now - at);
    });
  }

  gap({ missed = 0, reason, cursor }) {
    this.count.gaps++;
    this.count.missed += missed;
    this.mark('gap', { missed });
    this.messages.push({ n: number(cursor), gap: missed, reason });
    this.moved(cursor);
  }

  /** The channel has ended, and this lane has all of it. Its position is now after the end. */
  end(cursor) {
    if (this.over) return;
    if (number(cursor) !== number(this.cursor) + 1 && cursor !== this.cursor) this.count.unreported += 1;
    this.over = 'ended';
    this.cursor = cursor;
    this.journal.sawEnd(cursor);
    this.mark('end');
    this.messages.push({ over: this.over });
  }

  /** The channel was deleted, with all its messages. */
  deleted() {
    if (this.over) return;
    this.over = 'deleted';
    this.journal.isDeleted = true;
    this.mark('end');
    this.messages.push({ over: this.over });
  }

  /** The answer that said so is complete. */
  done() {
    this.wire?.close();
    this.#disconnected(this.over);
  }

  moved(cursor) {
    this.cursor = cursor;
    this.journal.saw(cursor);
  }

  mark(kind, more) {
    return this.timeline.push({ kind, t: performance.now(), ...more });
  }

  /** Shows why the server refused. */
  trouble(detail) {
    this.detail = detail;
  }

  // The wire.

  #connect() {
    this.state = 'connecting';
    this.wire = new Wire(this.trace, {
      open: (facts) => {
        this.onFacts?.(facts);
        this.state = 'open';
        this.detail = '';
        if (this.connected) this.count.reconnects++;
        this.connected = true;
        this.count.connections++;
        this.client = new this.technique.Client(this);
        this.client.start();
        this.#pump();
      },
      down: (bytes) => {
        this.count.down += bytes.length;
        if (this.slow) this.mark('read');
        this.client.push(bytes);
        if (!this.client?.busy?.()) this.stepping = false;
        this.#pump();
      },
      end: (why) => this.#ended(why),
    });
  }

  #pump() {
    clearTimeout(this.drip);
    if (this.paused && !this.stepping) this.wire?.grant(0);
    else if (this.slow) this.drip = setTimeout(() => this.wire?.grant(SLOW.bytes), SLOW.every);
    else this.wire?.grant(MAX_READ);
  }

  async #ended(why) {
    this.client?.finish?.();
    if (why === 'cut' || why === 'reset') this.mark('cut');
    this.#disconnected(this.over ?? (why === 'idle' ? 'idle' : 'waiting'));
    if (this.over) return;
    if (why === 'idle') {
      this.paused = true;
      this.detail =
        'The server closed the connection because the lane was paused for too long. Press Resume.';
      return;
    }
    if (why === 'refused') {
      this.state = 'refused';
      this.detail = await whyRefused();
    }
    if (this.on) this.retry = setTimeout(() => this.#connect(), WAIT[why]?.() ?? 1000);
  }

  #disconnected(state) {
    clearTimeout(this.drip);
    const now = performance.now();
    for (const span of this.spans.items) span.to ??= now;
    this.wire = this.client = null;
    this.state = state;
  }
}

/**
 * How long to wait before the next connection (ms). After a stop of the server the wait is random,
 * so that not all clients reconnect at once.
 */
const WAIT = {
  cut: () => 700,
  stopping: () => 1000 + Math.random() * 4000,
  refused: () => 5000,
};
