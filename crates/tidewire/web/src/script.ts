// The build for a <script> tag: all exports, in the global `tidewire`.
import { fetching, longpoll, polling, publish, sse, subscribe, subscribeWith, websocket } from './index.js';

(globalThis as any).tidewire = {
  fetching,
  longpoll,
  polling,
  publish,
  sse,
  subscribe,
  subscribeWith,
  websocket,
};
