// The writes and reads of a wire, with the notes on their bytes. The offset of a note counts from
// the first byte of the connection in its direction. A note may cover several reads, and may arrive
// later than its bytes.
import { Ring } from './ring.js';

/** How many writes and reads are kept. */
const KEPT = 96;

export class Trace {
  constructor() {
    this.reads = new Ring(KEPT);
    this.connection = 0;
  }

  /** A new connection begins: offsets count from 0 again. */
  connected() {
    this.connection++;
    this.at = { up: 0, down: 0 };
  }

  add(direction, bytes) {
    const at = this.at[direction];
    this.at[direction] += bytes.length;
    this.reads.push({ connection: this.connection, direction, at, bytes, notes: [] });
  }

  /** Gives each note to the reads that it covers. */
  explain(notes) {
    const mine = this.reads.last().filter((read) => read.connection === this.connection);
    for (const note of notes) {
      for (let i = mine.length - 1; i >= 0; i--) {
        const read = mine[i];
        if (read.direction !== note.direction) continue;
        const [from, to] = [note.offset - read.at, note.offset + note.len - read.at];
        if (from < read.bytes.length && (to > 0 || from === 0)) {
          read.notes.push({ ...note, from: Math.max(from, 0), to: Math.min(to, read.bytes.length) });
        }
        if (from >= 0) break;
      }
    }
  }
}
