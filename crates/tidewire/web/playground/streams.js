// One request and an answer that does not end: Server-Sent Events, lines of JSON, and older
// streams. Each marks the end of a message in its own way.
import { Answers, find, join, request, utf8 } from './http.js';
import { number } from './journal.js';

class Stream {
  constructor(lane) {
    this.lane = lane;
    this.held = new Uint8Array(0);
    this.answers = new Answers({
      head: (head) => this.head(head),
      data: (bytes) => {
        if (this.status === 200) this.data(bytes);
        else this.held = join(this.held, bytes);
      },
      end: () => {
        // The cursor is at the end already.
        if (this.status === 204) this.lane.end(this.lane.cursor);
        else if (this.status !== 200) this.refused(JSON.parse(text.decode(this.held)));
        if (this.lane.over) this.lane.done();
      },
    });
  }

  start() {
    const target = `${this.lane.journal.url}?feed=${this.feed}&since=${this.lane.cursor}${this.query ?? ''}`;
    this.lane.ask(request('GET', target, { ...this.lane.settings.fields(), ...this.fields }));
  }

  push(bytes) {
    this.answers.push(bytes);
  }

  finish() {
    this.answers.finish();
  }

  head({ status }) {
    this.status = status;
    this.lane.answered(false);
    if (status === 200) this.lane.hold('stream');
  }

  refused({ reason, detail }) {
    if (reason === 'deleted') this.lane.deleted();
    else this.lane.trouble(detail);
  }

  /** Cuts the bytes at each `mark`, and keeps the rest until more bytes arrive. */
  cut(bytes, mark, each) {
    this.held = join(this.held, bytes);
    for (let at; (at = find(this.held, mark)) >= 0; ) {
      const piece = this.held.subarray(0, at);
      this.held = this.held.subarray(at + mark.length);
      each(piece);
    }
  }

  beat() {
    this.lane.mark('beat');
  }
}

/** HTML §9.2: each line is a field, and an empty line ends an event. */
export class EventStream extends Stream {
  feed = 'sse';
  fields = { Accept: 'text/event-stream' };
  event = {};

  data(bytes) {
    this.cut(bytes, LF, (line) => this.line(text.decode(line)));
  }

  line(line) {
    if (line.startsWith(':')) return this.beat();
    if (line) {
      const colon = line.indexOf(':');
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      const before = this.event.data;
      if (name === 'data') this.event.data = before === undefined ? value : `${before}\n${value}`;
      else this.event[name] = value;
      return;
    }
    const { id, data, event } = this.event;
    this.event = {};
    // The first block is an id without data: the position of the request.
    if (data === undefined) return;
    const isObject =
      event === 'gap' ||
      event === 'reset' ||
      event === 'envelope' ||
      event === 'end' ||
      event === 'deleted';
    if (isObject) this.lane.object(JSON.parse(data));
    else this.lane.message(id, data, event);
  }
}

/** One JSON object a line. */
export class Lines extends Stream {
  feed = 'stream';
  fields = { Accept: 'application/x-ndjson' };

  data(bytes) {
    this.cut(bytes, LF, (line) => this.line(text.decode(line).trim()));
  }

  line(line) {
    if (!line) this.beat();
    else this.lane.object(JSON.parse(line));
  }
}

/** The same lines after padding, for XMLHttpRequest. */
export class Xhr extends Lines {
  feed = 'xhr';
  fields = {};
}

/** A JSON object in each part. */
export class Multipart extends Lines {
  feed = 'multipart';
  fields = { Accept: 'multipart/mixed' };

  data(bytes) {
    this.cut(bytes, DELIMITER, (part) => {
      const at = find(part, BLANK);
      const body = at < 0 ? '' : text.decode(part.subarray(at + BLANK.length)).trim();
      if (body) this.lane.object(JSON.parse(body));
      else if (this.begun) this.beat();
      this.begun = true;
    });
  }
}

/** For each object a script element, which calls the page that contains the frame. */
export class Frame extends Lines {
  feed = 'iframe';
  fields = {};
  query = '&callback=got';

  line(line) {
    const call = line.match(/^<script>t\((.*)\)<\/script>$/);
    if (call) this.lane.object(JSON.parse(call[1]));
    else if (!line) this.beat();
  }
}

/**
 * Only payloads: no ends of messages, no cursors. A reader must know the length of each message.
 * This page knows it for the messages that it has published.
 */
export class Raw extends Stream {
  feed = 'raw';
  fields = {};
  query = '&wait=55';

  data(bytes) {
    this.held = join(this.held, bytes);
    this.take();
  }

  take() {
    const { journal } = this.lane;
    for (let n = number(this.lane.cursor) + 1; this.held.length; n++) {
      const sent = journal.sent.get(n);
      // A message may arrive before its acknowledgement, with which its length becomes known.
      if (!sent) return journal.whenPublished(n, () => this.lane.client === this && this.take());
      if (this.held.length < sent.size) return;
      this.lane.message(sent.cursor, text.decode(this.held.subarray(0, sent.size)));
      this.held = this.held.subarray(sent.size);
    }
  }
}

const text = new TextDecoder();
const LF = utf8('\n');
const BLANK = utf8('\r\n\r\n');
const DELIMITER = utf8('--tidewire\r\n');
