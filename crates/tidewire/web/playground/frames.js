// Writes and reads WebSocket frames (RFC 6455 §5.2), as a client.
import { join } from './http.js';

export const TEXT = 1,
  CLOSE = 8,
  PING = 9,
  PONG = 10;

/** Makes one frame that is a whole message. A client masks each frame with a new random key. */
export function frame(opcode, payload) {
  const n = payload.length;
  const low = [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
  const length = n < 126 ? [n] : n < 65536 ? [126, ...low.slice(2)] : [127, 0, 0, 0, 0, ...low];
  length[0] |= 0x80;
  const key = crypto.getRandomValues(new Uint8Array(4));
  const header = Uint8Array.from([0x80 | opcode, ...length, ...key]);
  return join(
    header,
    payload.map((byte, i) => byte ^ key[i % 4]),
  );
}

/**
 * Reads frames and joins fragments. Calls `on(opcode, payload)` for messages, pings, pongs, closes.
 */
export class Frames {
  constructor(on) {
    this.on = on;
    this.held = new Uint8Array(0);
    this.parts = new Uint8Array(0);
    this.opcode = 0;
  }

  push(bytes) {
    this.held = join(this.held, bytes);
    for (let frame; (frame = this.#frame()); ) {
      if (frame.opcode >= 8) this.on(frame.opcode, frame.payload);
      else {
        if (frame.opcode) this.opcode = frame.opcode;
        this.parts = join(this.parts, frame.payload);
        if (frame.fin) {
          this.on(this.opcode, this.parts);
          this.parts = new Uint8Array(0);
        }
      }
    }
  }

  #frame() {
    const b = this.held;
    if (b.length < 2) return null;
    let [header, n] = [2, b[1] & 127];
    if (n >= 126) {
      header = n === 126 ? 4 : 10;
      if (b.length < header) return null;
      n = b.subarray(2, header).reduce((sum, byte) => sum * 256 + byte, 0);
    }
    if (b.length < header + n) return null;
    this.held = b.subarray(header + n);
    return { fin: b[0] > 127, opcode: b[0] & 15, payload: b.subarray(header, header + n) };
  }
}
