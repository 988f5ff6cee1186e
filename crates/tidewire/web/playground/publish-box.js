// The box to publish one message, many, a burst, or messages at a steady rate.
import { BytesView } from './bytes.js';
import { put, utf8Length, whole } from './dom.js';

export class PublishBox {
  /** `websocket` is the lane of the WebSocket. `announce` tells screen readers what was done. */
  constructor(form, publisher, websocket, announce) {
    Object.assign(this, { form, publisher, websocket, announce, number: 0, timer: null });
    const at = (name) => form.elements[name];
    this.at = at;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#publish(Number(at('count').value) || 1);
    });
    document.getElementById('burst').addEventListener('click', () => this.#publish(100));
    document.getElementById('flood').addEventListener('click', () => this.#publish(1200));
    at('rate').addEventListener('change', () => this.#setRate(Number(at('rate').value)));
    this.status = document.getElementById('published');
    this.bytes = new BytesView(publisher.trace, 'the publisher');
    this.wire = document.getElementById('publisher-wire');
    this.wire.append(this.bytes.element);
    this.wire.addEventListener('toggle', () => this.bytes.update());
  }

  #publish(count, quiet = false) {
    const { at } = this;
    const text = at('text').value || 'hello';
    const event = at('event').value.trim() || undefined;
    const size = Number(at('size').value);
    const numbered = count > 1 || quiet;
    const messages = Array.from({ length: count }, () => {
      this.number++;
      const line = numbered ? `${text} ${this.number}` : text;
      return { text: line.padEnd(line.length + Math.max(0, size - utf8Length(line)), '.'), event };
    });
    this.publisher.publish(messages, at('over').value === 'websocket' ? this.websocket : null);
    if (!quiet) this.announce(`Published ${whole(count)} ${count === 1 ? 'message' : 'messages'}.`);
  }

  #setRate(rate) {
    clearInterval(this.timer);
    this.timer = rate ? setInterval(() => this.#publish(1, true), 1000 / rate) : null;
    this.announce(rate ? `Publishing ${rate} per second.` : 'Repeated publishing is off.');
  }

  update() {
    const { publisher } = this;
    const waiting = publisher.queue.length + publisher.sent.length;
    const pending = waiting ? `, ${whole(waiting)} not confirmed yet` : '';
    put(this.status, publisher.trouble || `${whole(publisher.total)} published${pending}`);
    if (this.wire.open) this.bytes.update();
  }
}
