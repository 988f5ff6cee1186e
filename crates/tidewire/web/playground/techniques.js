// The lanes: their names, and a short explanation of each technique. The colours are in page.css.
import { Jsonp, LongPoll, ShortPoll } from './polls.js';
import { EventStream, Frame, Lines, Multipart, Raw, Xhr } from './streams.js';
import { WebSocketClient } from './websocket.js';

const RFC = (number, section = '') =>
  `https://www.rfc-editor.org/rfc/rfc${number}${section && `#section-${section}`}`;

export const TECHNIQUES = [
  {
    id: 'poll',
    name: 'Short polling',
    short: 'short poll',
    Client: ShortPoll,
    first: true,
    brief: 'The client asks again and again. Each answer comes at once.',
    about:
      'The client sends a request every few seconds. If there is nothing new, the answer is an empty 304, ' +
      'and the request was wasted. A new message waits at the server until the next request. So more ' +
      'requests mean less latency.',
    setting: { label: 'ask every', unit: 's', options: [0.5, 1, 2, 5], value: 2 },
    links: [['Conditional requests', RFC(9110, '13.1.2')]],
  },
  {
    id: 'longpoll',
    name: 'Long polling',
    short: 'long poll',
    Client: LongPoll,
    first: true,
    brief: 'The client asks. The server answers when there is a message.',
    about:
      'The server holds the request until there is a message or the time is over. So a message is sent at ' +
      'once. But after each answer the client must send a new request. Messages that are published ' +
      'meanwhile wait for it. Under load, one answer carries many messages.',
    setting: { label: 'hold for', unit: 's', options: [5, 8, 25], value: 8 },
    links: [['Known issues of long polling', RFC(6202, '2')]],
  },
  {
    id: 'sse',
    name: 'Server-Sent Events',
    short: 'SSE',
    Client: EventStream,
    first: true,
    brief: 'One request. Then events as lines of text, without an end.',
    about:
      'The answer does not end. It consists of short blocks of text. Each block has an id, which is the ' +
      'cursor. After a broken connection, the browser sends the last id back, and no message is lost. ' +
      'Messages go only from the server to the client.',
    links: [['Event streams', 'https://html.spec.whatwg.org/multipage/server-sent-events.html']],
  },
  {
    id: 'websocket',
    name: 'WebSocket',
    short: 'WebSocket',
    Client: WebSocketClient,
    first: true,
    brief: 'One handshake. Then frames in both directions.',
    about:
      'After an HTTP request, the connection carries frames with a header of 2 to 14 bytes. The client can ' +
      'send messages too, and must mask them. The protocol itself cannot resume after a broken ' +
      'connection. Here, the cursor in each message makes it possible.',
    links: [['Frames', RFC(6455, '5.2')]],
  },
  {
    id: 'stream',
    name: 'HTTP streaming',
    short: 'stream',
    Client: Lines,
    first: true,
    brief: 'One request. Then one JSON object per line, without an end.',
    about:
      'The answer is chunked and does not end. Each message is a line, and each line is a chunk. This is ' +
      'like SSE, but without an API in the browser. Most HTTP clients can read it.',
    links: [['Chunked transfer coding', RFC(9112, '7.1')]],
  },
  {
    id: 'xhr',
    name: 'XHR streaming',
    short: 'XHR',
    Client: Xhr,
    brief: 'The same lines, after padding, for XMLHttpRequest.',
    about:
      'Before fetch existed, a page could read responseText while it grew. Browsers held text back until ' +
      'they had detected its type. So the server sends 2 KiB of spaces first.',
    links: [['XMLHttpRequest', 'https://xhr.spec.whatwg.org/']],
  },
  {
    id: 'multipart',
    name: 'Multipart',
    short: 'multipart',
    Client: Multipart,
    brief: 'One body in parts, with a delimiter after each part.',
    about:
      'The push technique of 1995: a multipart body that does not end. The delimiter after a part is sent ' +
      'together with the part. So a reader can use the part before the next one arrives.',
    links: [['Multipart', RFC(2046, '5.1')]],
  },
  {
    id: 'raw',
    name: 'Raw bytes',
    short: 'raw',
    Client: Raw,
    brief: 'Only the payloads, as media players need them.',
    about:
      'The answer has only the bytes of the payloads: no ends of messages, no cursors, no reports of gaps. ' +
      'This lane can count only messages that this page has published, because it knows their lengths.',
    links: [['Message body length', RFC(9112, '6.3')]],
  },
  {
    id: 'iframe',
    name: 'Forever frame',
    short: 'frame',
    Client: Frame,
    comet: true,
    brief: 'A page that never finishes loading, made of scripts.',
    about:
      'Comet, from the time before XMLHttpRequest could stream. Each message is a script element. It calls ' +
      'a function of the page that contains the frame.',
    links: [['Known issues of HTTP streaming', RFC(6202, '3')]],
  },
  {
    id: 'jsonp',
    name: 'JSONP polling',
    short: 'JSONP',
    Client: Jsonp,
    comet: true,
    brief: 'A long poll whose answer is a script.',
    about:
      'Before CORS, a page read from another origin with a script element. So every page on the web can ' +
      'read. A script element cannot see a status, so the answer itself reports gaps.',
    setting: { label: 'hold for', unit: 's', options: [5, 8, 25], value: 8 },
    links: [['Known issues of long polling', RFC(6202, '2')]],
  },
];
