// The table: what the same messages cost with each technique.
import { bytes, el, millis, put, whole } from './dom.js';

const COLUMNS = [
  ['messages', ({ count }) => whole(count.messages)],
  ['requests', ({ count }) => whole(count.requests)],
  ['empty', ({ count }) => whole(count.empty)],
  ['bytes up', ({ count }) => bytes(count.up)],
  ['bytes down', ({ count }) => bytes(count.down)],
  ['overhead per message', (lane) => (lane.overhead === null ? '–' : `${whole(Math.round(lane.overhead))} B`)],
  ['latency, p50', (lane) => millis(lane.latency.value)],
  ['reconnects', ({ count }) => whole(count.reconnects)],
  ['told as gone', ({ count }) => whole(count.missed)],
  ['lost in silence', ({ count }) => whole(count.untold)],
];

export class Summary {
  constructor(table, lanes) {
    this.rows = lanes.map((lane) => {
      const cells = COLUMNS.map(([name]) => el('td', { 'data-name': name }));
      return { lane, cells, row: el('tr', { 'data-lane': lane.technique.id }, el('th', { scope: 'row' }, lane.technique.name), ...cells) };
    });
    table.append(
      el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'technique'), ...COLUMNS.map(([name]) => el('th', { scope: 'col' }, name)))),
      el('tbody', {}, ...this.rows.map(({ row }) => row)),
    );
  }

  update() {
    for (const { lane, cells, row } of this.rows) {
      row.hidden = !lane.on;
      if (lane.on) COLUMNS.forEach(([, value], i) => put(cells[i], value(lane)));
    }
  }
}
