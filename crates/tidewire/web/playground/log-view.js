// The log as a line, with a tick for each message and a marker at the cursor of each lane. The
// evicted part is hatched.
import { el, put, svg, whole } from './dom.js';
import { number } from './journal.js';

/** The fewest and the most messages that the line shows. */
const FEWEST = 40;
const MOST = 1500;
/** If there are more ticks than this, they are drawn as one band. */
const TICKS = 240;

export class LogView {
  constructor(holder, journal, lanes) {
    Object.assign(this, { journal, lanes, tracks: new Map() });
    this.ticks = svg('g');
    this.evicted = svg('rect', { class: 'evicted', x: 0, y: 4, height: 22, width: 0 });
    this.drawing = svg(
      'svg',
      { class: 'ticks', viewBox: '0 0 1000 30', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      HATCH(),
      this.evicted,
      svg('line', { x1: 0, x2: 1000, y1: 26, y2: 26 }),
      this.ticks,
    );
    this.from = el('span', { class: 'from' });
    this.to = el('span', { class: 'to' });
    this.rows = el('div', { class: 'tracks' });
    this.sentence = el('p', { class: 'visually-hidden', id: 'log-words' });
    holder.append(
      el('div', { class: 'line' }, el('span', { class: 'name' }, 'the log'), this.drawing, el('span')),
      this.rows,
      el('div', { class: 'ends' }, this.from, this.to),
      this.sentence,
    );
  }

  update() {
    const { head, oldest } = this.journal;
    const on = this.lanes.filter((lane) => lane.on);
    const behind = Math.max(0, ...on.map((lane) => head - at(lane)));
    const span = Math.min(Math.max(FEWEST, Math.ceil((behind * 1.1) / 20) * 20), MOST);
    const x = (n) => Math.min(Math.max((n - (head - span)) / span, 0), 1);
    this.#line(head, oldest, span, x);
    for (const lane of this.lanes) this.#track(lane, head, x);
    put(this.from, head > span ? `message ${whole(Math.max(head - span, 1))}` : '');
    const empty = this.journal.isDeleted ? 'the channel was deleted' : 'the log is empty: publish something';
    put(this.to, head ? `newest: message ${whole(head)}` : empty);
    const positions = on.map((lane) => `${lane.technique.name} is at ${at(lane)}`).join(', ');
    put(this.sentence, `The newest message is ${head}; ${positions}.`);
  }

  #line(head, oldest, span, x) {
    const key = `${head} ${oldest} ${span}`;
    if (key === this.drawn) return;
    this.drawn = key;
    const first = Math.max(1, head - span + 1);
    // Message n lies between the positions n-1 and n.
    const place = (n) => (x(n) * 1000).toFixed(1);
    this.evicted.setAttribute('x', place(first - 1));
    this.evicted.setAttribute('width', oldest > first ? place(oldest - 1) - place(first - 1) : 0);
    if (head - first + 1 > TICKS) {
      const path = `M${place(Math.max(oldest, first))} 16H1000`;
      return this.ticks.replaceChildren(svg('path', { class: 'band', d: path }));
    }
    const stroke = (n) => `M${place(n)} 6V26`;
    const strokes = (from, to) =>
      Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => stroke(from + i)).join('');
    this.ticks.replaceChildren(
      svg('path', { class: 'gone', d: strokes(first, Math.min(oldest - 1, head)) }),
      svg('path', { d: strokes(Math.max(first, oldest), head) }),
    );
  }

  #track(lane, head, x) {
    let track = this.tracks.get(lane);
    if (!lane.on) {
      track?.row.remove();
      this.tracks.delete(lane);
      return;
    }
    if (!track) {
      const marker = el('span', { class: 'marker' });
      const label = el('span', { class: 'behind' });
      const { id, name, short } = lane.technique;
      const row = el(
        'div',
        { class: 'track', 'data-lane': id },
        el('span', { class: 'name', title: name }, short),
        el('span', { class: 'rail' }, marker),
        label,
      );
      track = { row, marker, label };
      this.tracks.set(lane, track);
      const later = this.lanes.slice(this.lanes.indexOf(lane) + 1);
      const after = later.find((other) => this.tracks.has(other));
      this.rows.insertBefore(row, after ? this.tracks.get(after).row : null);
    }
    const position = at(lane);
    const evicted = position + 1 < this.journal.oldest && position < head;
    track.row.classList.toggle('evicted', evicted);
    track.row.dataset.at = position;
    track.marker.style.setProperty('left', `${(x(position) * 100).toFixed(2)}%`);
    const behind = `−${whole(head - position)}${evicted ? ' evicted' : ''}`;
    // A lane does not follow the log that begins after a deletion.
    const follows = position < head && lane.over !== 'deleted';
    put(track.label, follows ? behind : (lane.over ?? 'up to date'));
  }
}

const at = (lane) => number(lane.cursor);

const HATCH = () => {
  const size = { width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' };
  const line = svg('line', { class: 'hatch', x1: 0, y1: 0, x2: 0, y2: 6 });
  return svg('defs', {}, svg('pattern', { id: 'hatch', ...size }, line));
};
