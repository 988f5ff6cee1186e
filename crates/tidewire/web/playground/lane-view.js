// A lane as it is seen: what it is, its diagram, its numbers, its buttons, what arrives, and its bytes.
import { BytesView } from './bytes.js';
import { bytes, el, millis, put, whole } from './dom.js';
import { draw } from './timeline.js';

export class LaneView {
  constructor(lane, palette) {
    Object.assign(this, { lane, palette });
    const { technique } = lane;
    this.canvas = el('canvas', { class: 'timeline', role: 'img' });
    this.state = el('span', { class: 'state' });
    this.messages = el('ol', { class: 'messages', 'aria-label': `Newest messages of ${technique.name}` });
    this.detail = el('p', { class: 'detail', hidden: true });
    this.numbers = Object.fromEntries(NUMBERS.map(([key]) => [key, el('dd')]));
    this.bytes = new BytesView(lane.trace, technique.name);
    this.wire = el('details', { class: 'wire', ontoggle: () => this.bytes.update() }, el('summary', {}, 'Bytes on the wire'), this.bytes.element);
    this.buttons = this.#buttons();
    this.element = this.#element();
    // Only what can be seen is drawn.
    this.visible = true;
    new IntersectionObserver(([entry]) => (this.visible = entry.isIntersecting)).observe(this.element);
  }

  #element() {
    const { technique } = this.lane;
    const links = technique.links.map(([name, href]) => el('a', { href, target: '_blank', rel: 'noopener' }, name));
    return el(
      'article',
      { class: 'lane', id: `lane-${technique.id}`, 'data-lane': technique.id, 'aria-labelledby': `name-${technique.id}` },
      el(
        'header',
        {},
        el('div', { class: 'title' }, el('h3', { id: `name-${technique.id}` }, technique.name), this.state),
        el('p', { class: 'brief' }, technique.brief),
        el('details', { class: 'about' }, el('summary', {}, 'How it works'), el('p', {}, technique.about, ' ', ...links)),
        this.#setting(),
      ),
      el('div', { class: 'diagram' }, this.canvas, el('span', { class: 'axis client' }, 'client'), el('span', { class: 'axis server' }, 'server')),
      el('dl', { class: 'numbers' }, ...NUMBERS.map(([key, name, title]) => el('div', { title }, el('dt', {}, name), this.numbers[key]))),
      el('div', { class: 'controls', role: 'group', 'aria-label': `Controls of ${technique.name}` }, ...Object.values(this.buttons)),
      this.messages,
      this.detail,
      this.wire,
    );
  }

  #setting() {
    const { setting, id } = this.lane.technique;
    if (!setting) return '';
    const options = setting.options.map((n) => el('option', { value: n, selected: n === setting.value }, `${n} ${setting.unit}`));
    const select = el('select', { id: `setting-${id}`, onchange: () => (this.lane.setting = Number(select.value)) }, ...options);
    return el('label', { class: 'setting', for: `setting-${id}` }, `${setting.label} `, select);
  }

  #buttons() {
    const { lane } = this;
    const button = (name, title, onclick, toggles = false) => el('button', { type: 'button', title, onclick, 'aria-pressed': toggles ? 'false' : undefined }, name);
    return {
      pause: button('Pause', 'Stop reading; the server has to hold what it has', () => (lane.paused ? lane.resume() : lane.pause()), true),
      step: button('Step', 'Let one read through, or one question and its answer', () => lane.step()),
      slow: button('Slow reader', 'Read 64 bytes a second', () => lane.crawl(!lane.slow), true),
      cut: button('Cut the cable', 'Reset the connection; the lane comes back with its cursor', () => lane.cut()),
    };
  }

  /** Words and numbers, some times a second. */
  update() {
    const { lane } = this;
    const { count } = lane;
    const state = lane.paused ? 'paused' : lane.slow && lane.state === 'open' ? 'slow reader' : STATES[lane.state];
    if (this.state.textContent !== state) {
      this.state.textContent = state;
      this.state.dataset.state = state;
    }
    put(this.numbers.messages, whole(count.messages));
    put(this.numbers.requests, count.empty ? `${whole(count.requests)} (${whole(count.empty)} empty)` : whole(count.requests));
    put(this.numbers.latency, `${millis(lane.latency.value)} · ${millis(lane.latency.last)}`);
    put(this.numbers.overhead, lane.overhead === null ? '–' : `${whole(Math.round(lane.overhead))} B`);
    put(this.numbers.bytes, `${bytes(count.up)} · ${bytes(count.down)}`);
    put(this.numbers.reconnects, whole(count.reconnects));
    put(this.numbers.gaps, count.gaps ? `${whole(count.gaps)} (${whole(count.missed)} gone)` : '0');
    this.buttons.pause.setAttribute('aria-pressed', lane.paused);
    put(this.buttons.pause, lane.paused ? 'Resume' : 'Pause');
    this.buttons.slow.setAttribute('aria-pressed', lane.slow);
    this.buttons.cut.disabled = lane.state !== 'open';
    put(this.detail, lane.detail);
    this.detail.hidden = !lane.detail;
    this.#updateMessages();
    if (this.wire.open) this.bytes.update();
    this.canvas.ariaLabel = `Timeline of ${lane.technique.name}: ${count.requests} requests, ${count.messages} messages`;
  }

  #updateMessages() {
    const { messages } = this.lane;
    if (messages.count === this.shown) return;
    this.shown = messages.count;
    this.messages.replaceChildren(
      ...messages.last(4).reverse().map(({ n, data, event, gap }) =>
        gap === undefined
          ? el('li', {}, el('span', { class: 'n' }, n), ...(event ? [el('span', { class: 'event' }, event)] : []), el('span', { class: 'data' }, data))
          : el('li', { class: 'gap' }, el('span', { class: 'n' }, '!'), el('span', { class: 'data' }, gap ? `gap: ${gap} messages were gone before this lane came for them` : 'reset: the log began anew')),
      ),
    );
  }

  /** The diagram, as often as the screen is drawn. */
  draw(now) {
    if (this.visible) draw(this.canvas, this.lane, now, this.palette, this.palette.get(this.lane.technique.id));
  }
}

const STATES = { off: 'off', connecting: 'connecting', open: 'connected', waiting: 'reconnecting', idle: 'idle', refused: 'refused' };

const NUMBERS = [
  ['messages', 'messages', 'Messages that arrived'],
  ['requests', 'requests', 'Requests made, and how many of them brought nothing'],
  ['latency', 'latency p50 · last', 'From publishing to arrival, for messages of this page'],
  ['overhead', 'overhead a message', 'All bytes both ways, less the payloads, for each message'],
  ['bytes', 'bytes up · down', 'Bytes of HTTP, without those of TCP'],
  ['reconnects', 'reconnects', 'Connections after the first'],
  ['gaps', 'gaps told', 'Times that the server said: something was evicted before you came'],
];
