// A wire: a TCP connection to the server, lent to this page over a WebSocket. Each read is granted; see docs/http-api.md, "The playground's wires".

/** The most that one read may bring; the server grants no more. */
export const MAX_READ = 16 * 1024;

const ENDPOINT = new URL('/playground/wire', location.href);
ENDPOINT.protocol = ENDPOINT.protocol.replace('http', 'ws');

export class Wire {
  /**
   * `on.open(facts)`, `on.down(bytes)`, `on.end(why)`; after `end`, which is told once, nothing more is. `trace` gets all bytes and the notes on them. Why:
   * `closed`, `reset`, `cut`, `stopping` (the server stops), `idle`, `refused`, `lost` (the wire itself).
   */
  constructor(trace, on) {
    Object.assign(this, { trace, on });
    this.opened = false;
    this.socket = new WebSocket(ENDPOINT);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onmessage = (event) => this.#heard(JSON.parse(event.data));
    this.socket.onclose = (event) => this.#end(REASONS[event.code] ?? (this.opened ? event.reason || 'lost' : 'refused'));
  }

  /** Sends bytes, in pieces that the wire takes. */
  send(bytes) {
    for (let at = 0; at < bytes.length; at += MAX_SEND) {
      const piece = bytes.subarray(at, at + MAX_SEND);
      this.trace.add('up', piece);
      this.socket.send(piece);
    }
  }

  /** Grants one read of at most `max` bytes; the newest grant stands for all, and 0 takes it back. */
  grant(max = MAX_READ) {
    this.#order({ type: 'read', max });
  }

  /** Breaks the connection with a reset, as a cable would that is cut for long enough. */
  cut() {
    this.#order({ type: 'cut' });
  }

  /** Hangs up in good order. */
  close() {
    this.on = null;
    this.#hangUp();
  }

  /** A socket that is not open yet is closed when it is: earlier, browsers complain. */
  #hangUp() {
    if (this.socket.readyState === WebSocket.CONNECTING) this.socket.onopen = () => this.socket.close();
    else this.socket.close();
  }

  #order(order) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(order));
  }

  #heard(said) {
    if (!this.on) return;
    switch (said.type) {
      case 'open':
        this.opened = true;
        this.trace.connected();
        return this.on.open(said);
      case 'up':
        return this.trace.explain(said.notes);
      case 'down': {
        const bytes = Uint8Array.from(atob(said.data_b64), (c) => c.charCodeAt(0));
        this.trace.add('down', bytes);
        this.trace.explain(said.notes ?? []);
        return this.on.down(bytes);
      }
      case 'end':
        return this.#end(said.why);
    }
  }

  #end(why) {
    const on = this.on;
    this.on = null;
    this.socket.close();
    on?.end(why);
  }
}

/** Why no wire can be had, in the server's words. A page learns nothing from a handshake that failed, so it asks again without one. */
export async function whyRefused() {
  try {
    const answer = await fetch('/playground/wire');
    // 426: it would have switched. So the refusal is over, or lies between here and there.
    if (answer.status === 426) return 'A wire could not be opened; a proxy on the way may not pass WebSockets.';
    return (await answer.json()).detail;
  } catch {
    return 'The server does not answer.';
  }
}

const MAX_SEND = 32 * 1024;
const REASONS = { 1012: 'stopping' };
