// Short polling, long polling, and JSONP: one request after another on one connection.
import { Answers, join, request } from './http.js';

const text = new TextDecoder();

class Poll {
  constructor(lane) {
    this.lane = lane;
    this.waits = false; // whether an answer has not arrived yet
    this.due = false; // whether the next request is to be sent as soon as the lane allows it
    this.answers = new Answers({
      head: (head) => Object.assign(this, { head, body: new Uint8Array(0) }),
      data: (bytes) => (this.body = join(this.body, bytes)),
      end: () => this.answer(),
    });
  }

  start() {
    this.ask();
  }

  push(bytes) {
    this.answers.push(bytes);
  }

  finish() {
    clearTimeout(this.timer);
  }

  resumed() {
    if (this.due) this.ask();
  }

  busy() {
    return this.waits;
  }

  ask() {
    this.due = !this.lane.mayAsk;
    if (this.due) return;
    this.waits = true;
    this.lane.ask(request('GET', this.target(), { ...this.lane.settings.fields(), ...this.fields() }));
  }

  answer() {
    this.waits = false;
    const { status } = this.head;
    const body = text.decode(this.body);
    if (status === 304) this.lane.answered(true);
    else if (status === 200) this.messages(this.parse(body));
    else this.refused(status, JSON.parse(body));
    if (this.lane.over) this.lane.done();
    else this.again(status);
  }

  messages({ messages, cursor, closed }) {
    this.lane.answered(!messages.length);
    for (const message of messages) this.lane.object(message);
    if (closed) this.lane.end(cursor);
    else this.lane.moved(cursor);
  }

  /** 410: messages after the cursor are no longer kept. The answer has the earliest cursor. */
  refused(status, problem) {
    this.lane.answered(false);
    if (status === 410) this.lane.gap({ ...problem.gap, cursor: problem.earliest });
    else if (problem.reason === 'deleted') this.lane.deleted();
    else this.lane.trouble(problem.detail);
  }

  again(status) {
    const well = status === 200 || status === 304;
    this.later(status === 410 ? 0 : well ? this.pause : 2000);
  }

  later(ms) {
    this.due = true;
    this.timer = setTimeout(() => this.ask(), ms);
  }

  parse(body) {
    return JSON.parse(body);
  }

  fields() {
    return {};
  }

  /** The URL of the channel, with the position of the lane. */
  get place() {
    return `${this.lane.journal.url}?since=${this.lane.cursor}`;
  }
}

export class ShortPoll extends Poll {
  get pause() {
    return this.lane.setting * 1000;
  }

  target() {
    return this.place;
  }

  /** The last cursor. If there is nothing new, the answer is a 304 without a body. */
  fields() {
    return { 'If-None-Match': `"${this.lane.cursor}"` };
  }
}

export class LongPoll extends Poll {
  pause = 0;

  target() {
    return `${this.place}&wait=${this.lane.setting}`;
  }

  ask() {
    super.ask();
    if (this.waits) this.span = this.lane.hold('held');
  }

  answer() {
    if (this.span) this.span.to = performance.now();
    super.answer();
  }
}

/** A script element cannot see a status, so the arguments of the call have all information. */
export class Jsonp extends LongPoll {
  target() {
    return `${super.target()}&feed=jsonp&callback=got`;
  }

  parse(body) {
    return JSON.parse(body.slice(body.indexOf('(') + 1, body.lastIndexOf(')')));
  }
}
