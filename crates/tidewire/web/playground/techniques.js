// What the lanes are: names, colours (see page.css), and what each technique is in some sentences.
import { Jsonp, LongPoll, ShortPoll } from './polls.js';
import { EventStream, Frame, Lines, Multipart, Raw, Xhr } from './streams.js';
import { WebSocketClient } from './websocket.js';

const RFC = (number, section = '') => `https://www.rfc-editor.org/rfc/rfc${number}${section && `#section-${section}`}`;

export const TECHNIQUES = [
  {
    id: 'poll',
    name: 'Short polling',
    short: 'short poll',
    Client: ShortPoll,
    first: true,
    brief: 'Ask again and again; the answer comes at once.',
    about:
      'The client asks every few seconds. When nothing is new the answer is an empty 304, which costs a request all the same; when something is, it has waited for the next question. ' +
      'Latency is bought with requests.',
    setting: { label: 'ask every', unit: 's', options: [0.5, 1, 2, 5], value: 2 },
    links: [['Conditional requests', RFC(9110, '13.1.2')]],
  },
  {
    id: 'longpoll',
    name: 'Long polling',
    short: 'long poll',
    Client: LongPoll,
    first: true,
    brief: 'Ask, and be answered when there is something.',
    about:
      'The server holds the request until there is a message, or the time is over. A message travels at once, but each answer costs the next request, and what is published in ' +
      'between waits for it: under load many messages share an answer.',
    setting: { label: 'hold for', unit: 's', options: [5, 8, 25], value: 8 },
    links: [['Known issues of long polling', RFC(6202, '2')]],
  },
  {
    id: 'sse',
    name: 'Server-Sent Events',
    short: 'SSE',
    Client: EventStream,
    first: true,
    brief: 'One request; events as lines of text, for ever.',
    about:
      'One answer that does not end, made of short text blocks. Each has an id, which is the cursor: after a cut the browser sends the last one back, and nothing is lost. One way only.',
    links: [['Event streams', 'https://html.spec.whatwg.org/multipage/server-sent-events.html']],
  },
  {
    id: 'websocket',
    name: 'WebSocket',
    short: 'WebSocket',
    Client: WebSocketClient,
    first: true,
    brief: 'One handshake; then frames, both ways.',
    about:
      'An HTTP request turns the connection into one of frames with a header of 2 to 14 bytes. The client may send as well, and masks what it sends. Nothing in the protocol says where to go ' +
      'on after a cut: here the cursor in each message does.',
    links: [['Frames', RFC(6455, '5.2')]],
  },
  {
    id: 'stream',
    name: 'HTTP streaming',
    short: 'stream',
    Client: Lines,
    first: true,
    brief: 'One request; one JSON object a line, for ever.',
    about: 'A chunked answer that goes on: each message is a line, each line a chunk. What SSE is without its browser API, and what most HTTP clients can read.',
    links: [['Chunked transfer coding', RFC(9112, '7.1')]],
  },
  {
    id: 'xhr',
    name: 'XHR streaming',
    short: 'XHR',
    Client: Xhr,
    brief: 'The same lines, after padding, for XMLHttpRequest.',
    about: 'Before fetch, a page could watch responseText grow. Browsers held a text back until they had guessed its type, so 2 KiB of blanks go first.',
    links: [['XMLHttpRequest', 'https://xhr.spec.whatwg.org/']],
  },
  {
    id: 'multipart',
    name: 'Multipart',
    short: 'multipart',
    Client: Multipart,
    brief: 'One body in parts, with a delimiter after each.',
    about: 'The push of 1995: a multipart body whose parts keep coming. Each part is sent with the delimiter that ends it, so that no reader has to wait for the next one to see it.',
    links: [['Multipart', RFC(2046, '5.1')]],
  },
  {
    id: 'raw',
    name: 'Raw bytes',
    short: 'raw',
    Client: Raw,
    brief: 'The payloads alone, as media players want them.',
    about: 'No ends of messages, no cursors, no gaps: bytes. This lane can only count messages whose length this page knows because it published them.',
    links: [['Message body length', RFC(9112, '6.3')]],
  },
  {
    id: 'iframe',
    name: 'Forever frame',
    short: 'frame',
    Client: Frame,
    comet: true,
    brief: 'A page that never finishes loading, made of scripts.',
    about: 'Comet, as it was before XMLHttpRequest could stream: each message is a script element that calls a function of the page around the frame.',
    links: [['Known issues of HTTP streaming', RFC(6202, '3')]],
  },
  {
    id: 'jsonp',
    name: 'JSONP polling',
    short: 'JSONP',
    Client: Jsonp,
    comet: true,
    brief: 'A long poll whose answer is a script.',
    about: 'How a page read from another origin before CORS: with a script element, which sees no status. So every page on the web may read, and a gap is told in the answer.',
    setting: { label: 'hold for', unit: 's', options: [5, 8, 25], value: 8 },
    links: [['Known issues of long polling', RFC(6202, '2')]],
  },
];
