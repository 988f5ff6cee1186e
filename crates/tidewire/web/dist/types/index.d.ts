import type { Options, PublishOptions, Subscription, Where } from './types.js';
export { subscribeWith } from './subscription.js';
export { fetching, longpoll, polling, sse, websocket } from './transports.js';
export type * from './types.js';
/** Subscribes to a channel: `subscribe('/c/demo')`. To bundle fewer transports: {@link subscribeWith}. */
export declare function subscribe<T = string>(where: Where, options?: Options<T>): Subscription<T>;
/** Posts one message; resolves to its cursor. Rejects with {@link Refused} if the server does not want it. */
export declare function publish(where: Where, data: BodyInit, options?: PublishOptions & Pick<Options, 'headers' | 'credentials'>): Promise<string>;
