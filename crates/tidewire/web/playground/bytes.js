// The bytes on the wire: the bytes of each write and each read, in hexadecimal and as text, with
// the server's notes on them.
import { el, put } from './dom.js';

/** How many bytes of a read are shown at first. */
const SHOWN = 2048;

export class BytesView {
  constructor(trace, name) {
    this.trace = trace;
    this.seen = 0;
    const label = `Writes and reads of ${name}, oldest first`;
    this.list = el('ol', { class: 'reads', tabindex: '0', 'aria-label': label });
    const onclick = () => this.#followAgain();
    this.follow = el('button', { type: 'button', class: 'follow', hidden: true, onclick });
    this.element = el('div', { class: 'bytes' }, this.list, this.follow);
    this.list.addEventListener('toggle', () => this.update(), true);
  }

  /** Shows new entries. While the user has an entry open, the list does not change. */
  update() {
    const { reads } = this.trace;
    if (reads.count < this.seen) this.clear();
    const news = reads.count - this.seen;
    const held = this.list.querySelector('details[open]') !== null;
    this.follow.hidden = !(held && news);
    if (held) return put(this.follow, `${news} newer entries · close the open ones and show the newest`);
    if (!news) return;
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    this.list.append(...reads.last(Math.min(news, reads.max)).map(entry));
    while (this.list.children.length > reads.max) this.list.firstChild.remove();
    this.seen = reads.count;
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  clear() {
    this.list.replaceChildren();
    this.seen = 0;
  }

  #followAgain() {
    for (const open of this.list.querySelectorAll('details[open]')) open.open = false;
    this.update();
    this.list.scrollTop = this.list.scrollHeight;
    this.list.focus();
  }
}

function entry(read) {
  const [label, arrow] = read.direction === 'up' ? ['sent', '↑'] : ['received', '↓'];
  const details = el(
    'details',
    { class: `read ${read.direction}` },
    el(
      'summary',
      {},
      el('span', { class: 'direction', role: 'img', 'aria-label': label }, arrow),
      el('span', { class: 'length' }, `${read.bytes.length} B`),
      el('code', { class: 'preview' }, preview(read.bytes)),
    ),
  );
  // The dump of an entry is built when the entry is opened.
  const open = () => details.children.length === 1 && details.append(dump(read));
  details.addEventListener('toggle', open, { once: true });
  return el('li', {}, details);
}

function preview(bytes) {
  const head = bytes.subarray(0, 120);
  const readable = [...head].filter((b) => b >= 32 && b < 127).length;
  if (readable * 4 < head.length * 3) return [...head.subarray(0, 24)].map(hex).join(' ');
  return new TextDecoder()
    .decode(head)
    .replace(/\r\n/g, ' ⏎ ')
    .replace(/[\r\n]/g, ' ↵ ')
    .replace(/[\0-\x1f\ufffd]/g, '·');
}

function dump({ bytes, notes, at }) {
  const holder = el('div', { class: 'dump' });
  const build = (shown) => {
    const pieces = cutUp(bytes.subarray(0, shown), notes);
    const table = rows(pieces);
    const onclick = () => build(bytes.length);
    const more = el('button', { type: 'button', class: 'more', onclick }, `show all ${bytes.length} bytes`);
    holder.replaceChildren(el('div', { class: 'hex-pane' }, table, ...(shown < bytes.length ? [more] : [])));
    if (notes.length)
      holder.append(
        legend(
          notes.filter((note) => note.from < shown),
          table,
          at,
        ),
      );
  };
  build(SHOWN);
  return holder;
}

/** Cuts bytes where a note or a row begins or ends. Each piece has the innermost note over it. */
function cutUp(bytes, notes) {
  const edges = new Set([0, bytes.length]);
  for (let at = 0; at < bytes.length; at += ROW) edges.add(at);
  const owner = new Int32Array(bytes.length).fill(-1);
  notes.forEach((note, i) => {
    edges.add(Math.min(note.from, bytes.length)).add(Math.min(note.to, bytes.length));
    owner.fill(i, note.from, note.to);
  });
  const sorted = [...edges].sort((a, b) => a - b);
  return sorted.slice(0, -1).map((at, i) => {
    const note = owner[at];
    return { at, bytes: bytes.subarray(at, sorted[i + 1]), note, family: family(notes[note]?.kind) };
  });
}

const ROW = matchMedia('(max-width: 40rem)').matches ? 8 : 16;

function rows(pieces) {
  const table = el('div', { class: 'hex' });
  let row;
  for (const piece of pieces) {
    if (piece.at % ROW === 0) {
      row = { hex: el('span', { class: 'h' }), text: el('span', { class: 't' }) };
      const offset = el('span', { class: 'offset' }, piece.at.toString(16).padStart(4, '0'));
      table.append(el('div', { class: 'row' }, offset, row.hex, row.text));
    }
    const end = piece.at + piece.bytes.length;
    const attributes = { 'data-at': piece.at, 'data-end': end, 'data-note': piece.note, class: piece.family };
    const bytes = [...piece.bytes];
    row.hex.append(el('span', attributes, bytes.map(hex).join(' ')), ' ');
    row.text.append(el('span', attributes, bytes.map(character).join('')));
  }
  return table;
}

/** The list of notes. Pointing at a note highlights its bytes, and the other way round. */
function legend(notes, table, base) {
  const lit = (from, to) => {
    for (const piece of table.querySelectorAll('[data-at]')) {
      piece.classList.toggle('lit', piece.dataset.at >= from && piece.dataset.end <= to);
    }
  };
  const items = notes.map((note) => {
    const on = () => lit(note.from, note.to);
    const action = `highlight bytes ${note.from} to ${note.to}`;
    const place = el(
      'button',
      { type: 'button', class: `place ${family(note.kind)}`, onfocus: on, onclick: on, 'aria-label': action },
      note.from.toString(16).padStart(4, '0'),
    );
    const label = el('span', { class: 'label' }, note.offset < base ? `… ${note.label}` : note.label);
    const meaning = el('span', { class: 'meaning' }, note.meaning);
    const item = el('li', { style: { '--depth': note.depth } }, place, label, meaning, ...link(note.section));
    item.addEventListener('pointerenter', on);
    return item;
  });
  const list = el('ol', { class: 'notes', 'aria-label': 'What the bytes mean' }, ...items);
  list.addEventListener('pointerleave', () => lit(-1, -1));
  table.addEventListener('pointerover', (event) => {
    const note = notes[event.target.dataset?.note];
    for (const item of items) item.classList.toggle('lit', item === items[notes.indexOf(note)]);
  });
  return list;
}

/** A link to a section: `RFC 9112 §7.1` or `HTML §9.2.6`. Other sections have no link. */
function link(section) {
  const [, rfc, at] = section.match(/^RFC (\d+)(?: §([\d.]+))?/) ?? [];
  const [, html] = section.match(/^HTML §([\d.]+)/) ?? [];
  if (!rfc && !html) return section ? [el('span', { class: 'meaning' }, section)] : [];
  const anchor = html === '9.2.6' ? 'event-stream-interpretation' : 'parsing-an-event-stream';
  const href = rfc
    ? `https://www.rfc-editor.org/rfc/rfc${rfc}${at ? `#section-${at}` : ''}`
    : `https://html.spec.whatwg.org/multipage/server-sent-events.html#${anchor}`;
  return [el('a', { href, target: '_blank', rel: 'noopener' }, section)];
}

/** Kinds of notes share colours: framing, names, numbers, data and errors. */
const family = (kind) => FAMILIES[kind] ?? (kind ? 'f-name' : undefined);

const FAMILIES = Object.fromEntries(
  Object.entries({
    'f-frame':
      'empty-line end-of-head chunk-line chunk-end last-chunk end-of-body event-end frame-header ' +
      'heartbeat byte-order-mark',
    'f-count':
      'status-line status chunk-size length fin rsv opcode mask masking-key close-code event-id event-retry',
    'f-data': 'data event-data json-line payload inflated close-reason',
    'f-bad': 'refused warning unread',
  }).flatMap(([name, kinds]) => kinds.split(' ').map((kind) => [kind, name])),
);

const hex = (byte) => byte.toString(16).padStart(2, '0');

const character = (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '·');
