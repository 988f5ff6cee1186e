// A wire: a TCP connection to the server, which this page uses through a WebSocket. The page must
// permit each read. See "The playground's wires" in docs/http-api.md.

/** The most bytes of one read; the server allows no more. */
export const MAX_READ = 16 * 1024;

const ENDPOINT = new URL('/playground/wire', location.href);
ENDPOINT.protocol = ENDPOINT.protocol.replace('http', 'ws');

export class Wire {
  /**
   * Calls `on.open(facts)`, `on.down(bytes)` and, once and last, `on.end(why)`. `why` is `closed`,
   * `reset`, `cut`, `stopping` (the server stops), `idle`, `refused`, or `lost` (the WebSocket
   * failed). `trace` gets all bytes and the notes on them.
   */
  constructor(trace, on) {
    Object.assign(this, { trace, on });
    this.opened = false;
    this.socket = new WebSocket(ENDPOINT);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onmessage = (event) => this.#heard(JSON.parse(event.data));
    this.socket.onclose = ({ code, reason }) => {
      this.#end(REASONS[code] ?? (this.opened ? reason || 'lost' : 'refused'));
    };
  }

  /** Sends bytes, in pieces that the wire accepts. */
  send(bytes) {
    for (let at = 0; at < bytes.length; at += MAX_SEND) {
      const piece = bytes.subarray(at, at + MAX_SEND);
      this.trace.add('up', piece);
      this.socket.send(piece);
    }
  }

  /** Permits one read of at most `max` bytes. It replaces the permission before; 0 withdraws it. */
  grant(max = MAX_READ) {
    this.#command({ type: 'read', max });
  }

  /** Ends the connection with a reset. */
  cut() {
    this.#command({ type: 'cut' });
  }

  /** Ends the connection normally. */
  close() {
    this.on = null;
    // A socket that is not open yet is closed when it opens. Browsers log an error if it is closed
    // earlier.
    if (this.socket.readyState === WebSocket.CONNECTING) this.socket.onopen = () => this.socket.close();
    else this.socket.close();
  }

  #command(command) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(command));
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

/**
 * Returns the server's explanation why it refused a wire. A page cannot see why a handshake failed,
 * so this asks again with a plain GET.
 */
export async function whyRefused() {
  try {
    const answer = await fetch('/playground/wire');
    // 426: the server would accept a handshake. So it accepts now, or a proxy has refused.
    if (answer.status === 426)
      return 'No WebSocket could be opened; a proxy on the way may block WebSockets.';
    return (await answer.json()).detail;
  } catch {
    return 'The server does not answer.';
  }
}

const MAX_SEND = 32 * 1024;
const REASONS = { 1012: 'stopping' };
