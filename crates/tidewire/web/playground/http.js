// Reads HTTP/1.1 answers byte by byte: a head, then a body that ends by its length, with the last
// chunk, or with the connection.

const CRLF2 = [13, 10, 13, 10];
const text = new TextDecoder('latin1');

/**
 * Reads one answer after another. Calls `on.head({status, fields})`, `on.data(bytes)` and
 * `on.end()`. After a 101, all bytes are data.
 */
export class Answers {
  constructor(on) {
    this.on = on;
    this.held = new Uint8Array(0);
    this.state = 'head';
    this.left = 0;
  }

  /** Whether an answer has begun and has not ended. */
  get open() {
    return this.state !== 'head' || this.held.length > 0;
  }

  push(bytes) {
    this.held = join(this.held, bytes);
    while (this.#step());
  }

  /** The connection ended. This is the end of a body without a length, but not of other bodies. */
  finish() {
    if (this.state === 'rest') this.on.end();
    this.state = 'over';
  }

  #step() {
    switch (this.state) {
      case 'head':
        return this.#head();
      case 'length':
        return this.#data(() => this.#ended());
      case 'size': {
        const line = this.#line();
        if (line === null) return false;
        this.left = parseInt(line, 16);
        this.state = this.left ? 'chunk' : 'trailer';
        return true;
      }
      case 'chunk':
        return this.#data(() => (this.state = 'chunk-end'));
      case 'chunk-end': {
        const line = this.#line();
        if (line !== null) this.state = 'size';
        return line !== null;
      }
      case 'trailer': {
        const line = this.#line();
        if (line === '') this.#ended();
        return line !== null;
      }
      case 'rest':
        if (this.held.length) this.on.data(this.#take(this.held.length));
        return false;
      default:
        return false;
    }
  }

  #head() {
    const end = find(this.held, CRLF2);
    if (end < 0) return false;
    const [first, ...lines] = text
      .decode(this.#take(end + 4))
      .trimEnd()
      .split('\r\n');
    const field = (line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    };
    const fields = new Map(lines.map(field));
    const status = Number(first.split(' ')[1]);
    this.left = Number(fields.get('content-length') ?? 0);
    if (status === 304 || status === 204) this.state = 'none';
    else if (status === 101) this.state = 'rest';
    else if (fields.get('transfer-encoding') === 'chunked') this.state = 'size';
    else if (fields.has('content-length')) this.state = this.left ? 'length' : 'none';
    else this.state = 'rest';
    this.on.head({ status, fields });
    if (this.state === 'none') this.#ended();
    return true;
  }

  #data(then) {
    const n = Math.min(this.left, this.held.length);
    if (!n) return false;
    this.left -= n;
    this.on.data(this.#take(n));
    if (!this.left) then();
    return true;
  }

  #ended() {
    this.state = 'head';
    this.on.end();
  }

  #line() {
    const end = this.held.indexOf(10);
    return end < 0 ? null : text.decode(this.#take(end + 1)).trimEnd();
  }

  #take(n) {
    const taken = this.held.subarray(0, n);
    this.held = this.held.subarray(n);
    return taken;
  }
}

/** Returns the bytes of a request. */
export function request(method, target, fields = {}, body = new Uint8Array(0)) {
  const all = { Host: location.host, ...fields };
  if (method === 'POST') all['Content-Length'] = body.length;
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return join(utf8(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`), body);
}

export const utf8 = (string) => new TextEncoder().encode(string);

export function join(a, b) {
  if (!a.length) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Returns where `needle` begins in `bytes`, or -1. */
export function find(bytes, needle) {
  for (let at = bytes.indexOf(needle[0]); at >= 0; at = bytes.indexOf(needle[0], at + 1)) {
    if (needle.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}
