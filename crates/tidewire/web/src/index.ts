import { subscribeWith } from './subscription.js';
import { fetching, longpoll, polling, sse, websocket } from './transports.js';
import type { Options, PublishOptions, Subscription, Transport, Where } from './types.js';

export { subscribeWith } from './subscription.js';
export { fetching, longpoll, polling, sse, websocket } from './transports.js';
export type * from './types.js';

/** Subscribes to a channel: `subscribe('/c/demo')`. {@link subscribeWith} makes smaller bundles. */
export function subscribe<T = string>(where: Where, options: Options<T> = {}): Subscription<T> {
  const all: Transport[] = [websocket, sse, fetching, longpoll, polling];
  const transports = (options.transports ?? all).map(
    (one) => all.find(({ name }) => name === one) ?? (one as Transport),
  );
  return subscribeWith<T>(where, { ...options, transports });
}

/** Publishes one message and resolves to its cursor. Rejects with {@link Refused} if refused. */
export function publish(
  where: Where,
  data: BodyInit,
  options?: PublishOptions & Pick<Options, 'headers' | 'credentials'>,
): Promise<string> {
  return subscribeWith(where, { ...options, transports: [polling] }).publish(data, options);
}
