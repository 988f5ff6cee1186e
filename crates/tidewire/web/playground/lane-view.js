// The view of a lane: explanation, diagram, numbers, buttons, newest messages and bytes.
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
    this.wire = el(
      'details',
      { class: 'wire', ontoggle: () => this.bytes.update() },
      el('summary', {}, 'Bytes on the wire'),
      this.bytes.element,
    );
    this.buttons = this.#buttons();
    this.element = this.#element();
    // A lane outside the window is not drawn.
    this.visible = true;
    new IntersectionObserver(([entry]) => (this.visible = entry.isIntersecting)).observe(this.element);
  }

  #element() {
    const { id, name, brief, about, links } = this.lane.technique;
    const anchors = links.map(([text, href]) => el('a', { href, target: '_blank', rel: 'noopener' }, text));
    const number = ([key, label, title]) => el('div', { title }, el('dt', {}, label), this.numbers[key]);
    return el(
      'article',
      { class: 'lane', id: `lane-${id}`, 'data-lane': id, 'aria-labelledby': `name-${id}` },
      el(
        'header',
        {},
        el('div', { class: 'title' }, el('h3', { id: `name-${id}` }, name), this.state),
        el('p', { class: 'brief' }, brief),
        el(
          'details',
          { class: 'about' },
          el('summary', {}, 'How it works'),
          el('p', {}, about, ' ', ...anchors),
        ),
        this.#setting(),
      ),
      el(
        'div',
        { class: 'diagram' },
        this.canvas,
        el('span', { class: 'axis client' }, 'client'),
        el('span', { class: 'axis server' }, 'server'),
      ),
      el('dl', { class: 'numbers' }, ...NUMBERS.map(number)),
      el(
        'div',
        { class: 'controls', role: 'group', 'aria-label': `Controls of ${name}` },
        ...Object.values(this.buttons),
      ),
      this.messages,
      this.detail,
      this.wire,
    );
  }

  #setting() {
    const { setting, id } = this.lane.technique;
    if (!setting) return '';
    const options = setting.options.map((n) =>
      el('option', { value: n, selected: n === setting.value }, `${n} ${setting.unit}`),
    );
    const onchange = () => (this.lane.setting = Number(select.value));
    const select = el('select', { id: `setting-${id}`, onchange }, ...options);
    return el('label', { class: 'setting', for: `setting-${id}` }, `${setting.label} `, select);
  }

  #buttons() {
    const { lane } = this;
    const button = (name, title, onclick, pressed) =>
      el('button', { type: 'button', title, onclick, 'aria-pressed': pressed }, name);
    const pause = () => (lane.paused ? lane.resume() : lane.pause());
    return {
      pause: button('Pause', 'Stop reading; the server must wait', pause, 'false'),
      step: button('Step', 'Do one read, or one request with its answer', () => lane.step()),
      slow: button('Slow reader', 'Read 64 bytes per second', () => lane.readSlowly(!lane.slow), 'false'),
      cut: button('Cut connection', 'Reset the connection; the lane reconnects with its cursor', () =>
        lane.cut(),
      ),
    };
  }

  /** Updates texts and numbers. It is called some times a second. */
  update() {
    const { lane } = this;
    const { count } = lane;
    const isOpen = lane.state === 'open';
    const state =
      lane.paused && !lane.over ? 'paused' : lane.slow && isOpen ? 'slow reader' : STATES[lane.state];
    if (this.state.textContent !== state) {
      this.state.textContent = state;
      this.state.dataset.state = state;
    }
    put(this.numbers.messages, whole(count.messages));
    const empty = count.empty ? ` (${whole(count.empty)} empty)` : '';
    put(this.numbers.requests, `${whole(count.requests)}${empty}`);
    put(this.numbers.latency, `${millis(lane.latency.value)} · ${millis(lane.latency.last)}`);
    put(this.numbers.overhead, lane.overhead === null ? '–' : `${whole(Math.round(lane.overhead))} B`);
    put(this.numbers.bytes, `${bytes(count.up)} · ${bytes(count.down)}`);
    put(this.numbers.reconnects, whole(count.reconnects));
    put(this.numbers.gaps, count.gaps ? `${whole(count.gaps)} (${whole(count.missed)} lost)` : '0');
    this.buttons.pause.setAttribute('aria-pressed', lane.paused);
    put(this.buttons.pause, lane.paused ? 'Resume' : 'Pause');
    this.buttons.slow.setAttribute('aria-pressed', lane.slow);
    this.buttons.cut.disabled = !isOpen;
    put(this.detail, lane.detail);
    this.detail.hidden = !lane.detail;
    this.#updateMessages();
    if (this.wire.open) this.bytes.update();
    const counts = `${count.requests} requests, ${count.messages} messages`;
    this.canvas.ariaLabel = `Timeline of ${lane.technique.name}: ${counts}`;
  }

  #updateMessages() {
    const { messages } = this.lane;
    if (messages.count === this.shown) return;
    this.shown = messages.count;
    this.messages.replaceChildren(...messages.last(4).reverse().map(item));
  }

  /** Draws the diagram, as often as the screen is drawn. */
  draw(now) {
    if (this.visible)
      draw(this.canvas, this.lane, now, this.palette, this.palette.get(this.lane.technique.id));
  }
}

const OVER = { ended: 'the channel has ended', deleted: 'the channel was deleted' };

/** An item of the list of messages: a message, a gap, a reset, or the end. */
function item({ n, data, event, gap, reason, over }) {
  const part = (name, text) => el('span', { class: name }, text);
  if (over) return el('li', { class: 'over' }, part('n', '■'), part('data', OVER[over]));
  if (gap === undefined) {
    return el('li', {}, part('n', n), ...(event ? [part('event', event)] : []), part('data', data));
  }
  const report = gap
    ? `gap: ${gap} messages are lost, because the server no longer keeps them`
    : reason === 'tail-lost'
      ? 'reset: the log has lost messages that this lane had'
      : 'reset: the log began anew';
  return el('li', { class: 'gap' }, part('n', '!'), part('data', report));
}

const STATES = {
  off: 'off',
  connecting: 'connecting',
  open: 'connected',
  waiting: 'reconnecting',
  idle: 'idle',
  refused: 'refused',
  ended: 'ended',
  deleted: 'deleted',
};

const NUMBERS = [
  ['messages', 'messages', 'Messages that arrived'],
  ['requests', 'requests', 'Requests, and how many of them had an answer without a message'],
  ['latency', 'latency p50 · last', 'Time from publishing to arrival, for messages of this page'],
  ['overhead', 'overhead per message', 'All bytes in both directions, minus the payloads, per message'],
  ['bytes', 'bytes up · down', 'Bytes of HTTP and WebSocket, without those of TCP'],
  ['reconnects', 'reconnects', 'Connections after the first one'],
  ['gaps', 'gaps reported', 'How often the server reported that messages are lost'],
];
