import type { Options, PublishOptions, Subscription, Where } from './types.js';
export { subscribeWith } from './subscription.js';
export { fetching, longpoll, polling, sse, websocket } from './transports.js';
export type * from './types.js';
/** Subscribes to a channel: `subscribe('/c/demo')`. {@link subscribeWith} makes smaller bundles. */
export declare function subscribe<T = string>(where: Where, options?: Options<T>): Subscription<T>;
/** Publishes one message and resolves to its cursor. Rejects with {@link Refused} if refused. */
export declare function publish(where: Where, data: BodyInit, options?: PublishOptions & Pick<Options, 'headers' | 'credentials'>): Promise<string>;
