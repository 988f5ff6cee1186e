// The table that compares the costs of the techniques.
import { bytes, el, millis, put, whole } from './dom.js';

const COLUMNS = [
  ['messages', ({ count }) => whole(count.messages)],
  ['requests', ({ count }) => whole(count.requests)],
  ['empty', ({ count }) => whole(count.empty)],
  ['bytes up', ({ count }) => bytes(count.up)],
  ['bytes down', ({ count }) => bytes(count.down)],
  [
    'overhead per message',
    (lane) => (lane.overhead === null ? '–' : `${whole(Math.round(lane.overhead))} B`),
  ],
  ['latency, p50', (lane) => millis(lane.latency.value)],
  ['reconnects', ({ count }) => whole(count.reconnects)],
  ['reported lost', ({ count }) => whole(count.missed)],
  ['lost unreported', ({ count }) => whole(count.unreported)],
];

export class Summary {
  constructor(table, lanes) {
    this.rows = lanes.map((lane) => {
      const cells = COLUMNS.map(([name]) => el('td', { 'data-name': name }));
      const { id, name } = lane.technique;
      const row = el('tr', { 'data-lane': id }, el('th', { scope: 'row' }, name), ...cells);
      return { lane, cells, row };
    });
    const names = ['technique', ...COLUMNS.map(([name]) => name)];
    table.append(
      el('thead', {}, el('tr', {}, ...names.map((name) => el('th', { scope: 'col' }, name)))),
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
