// A WebSocket client (RFC 6455): the handshake, masked frames to the server, frames from the
// server. It speaks the subprotocol tidewire.v1: JSON in both directions.
import { CLOSE, Frames, PING, PONG, TEXT, frame } from './frames.js';
import { Answers, join, request, utf8 } from './http.js';

const text = new TextDecoder();

export class WebSocketClient {
  constructor(lane) {
    this.lane = lane;
    this.commands = new Map();
    this.frames = new Frames((opcode, payload) => this.heard(opcode, payload));
    this.answers = new Answers({
      head: ({ status }) => {
        this.lane.answered(false);
        this.open = status === 101;
        this.refusal = new Uint8Array(0);
        if (this.open) this.lane.hold('stream');
        else this.lane.trouble(`The server answered ${status} to the handshake.`);
      },
      data: (bytes) => {
        if (this.open) this.frames.push(bytes);
        else this.refusal = join(this.refusal, bytes);
      },
      end: () => {
        if (this.open || JSON.parse(text.decode(this.refusal)).reason !== 'deleted') return;
        this.lane.deleted();
        this.lane.done();
      },
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

  /** Publishes over the connection. Calls `acknowledged(cursor)` when the message is in the log. */
  publish(message, acknowledged) {
    const id = this.commands.size ? Math.max(...this.commands.keys()) + 1 : 1;
    this.commands.set(id, acknowledged);
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
      const acknowledged = this.commands.get(object.id);
      this.commands.delete(object.id);
      if (object.cursor) acknowledged?.(object.cursor);
      else this.lane.trouble(object.detail);
    } else this.lane.object(object);
  }
}
