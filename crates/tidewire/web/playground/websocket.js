// A WebSocket (RFC 6455) by hand: the handshake, masked frames up, frames down. Speaks tidewire.v1: JSON both ways.
import { CLOSE, Frames, PING, PONG, TEXT, frame } from './frames.js';
import { Answers, request, utf8 } from './http.js';

const text = new TextDecoder();

export class WebSocketClient {
  constructor(lane) {
    this.lane = lane;
    this.orders = new Map();
    this.frames = new Frames((opcode, payload) => this.heard(opcode, payload));
    this.answers = new Answers({
      head: ({ status }) => {
        this.lane.answered(false);
        this.open = status === 101;
        if (this.open) this.lane.hold('stream');
        else this.lane.trouble(`The server answered ${status} to the handshake.`);
      },
      data: (bytes) => this.open && this.frames.push(bytes),
      end: () => {},
    });
  }

  start() {
    const target = `${this.lane.journal.url}?since=${this.lane.cursor}`;
    const key = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
    this.lane.ask(
      request('GET', target, {
        ...this.lane.settings.fields(),
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': key,
        'Sec-WebSocket-Protocol': 'tidewire.v1',
      }),
    );
  }

  push(bytes) {
    this.answers.push(bytes);
  }

  /** Publishes over the same connection; `acknowledged(cursor)` is called when the log has it. */
  publish(message, acknowledged) {
    const id = this.orders.size ? Math.max(...this.orders.keys()) + 1 : 1;
    this.orders.set(id, acknowledged);
    this.lane.mark('up');
    this.lane.send(frame(TEXT, utf8(JSON.stringify({ type: 'publish', id, ...message }))));
  }

  heard(opcode, payload) {
    if (opcode === PING) {
      this.lane.mark('beat');
      this.lane.send(frame(PONG, payload));
    } else if (opcode === CLOSE) this.lane.send(frame(CLOSE, payload.subarray(0, 2)));
    else if (opcode === TEXT) this.object(JSON.parse(text.decode(payload)));
  }

  object(object) {
    if (object.type === 'ack' || object.type === 'error') {
      const acknowledged = this.orders.get(object.id);
      this.orders.delete(object.id);
      if (object.cursor) acknowledged?.(object.cursor);
      else this.lane.trouble(object.detail);
    } else this.lane.object(object);
  }
}
