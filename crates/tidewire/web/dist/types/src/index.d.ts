import { Subscription, type Where } from './subscription.js';
import type { Options } from './types.js';
export { Subscription } from './subscription.js';
export type { Where } from './subscription.js';
export { Refused, fetching, longpoll, polling, sse, websocket } from './transports.js';
export type { Failure, Gap, Link, Message, Options, State, Transport, TransportName } from './types.js';
/** Subscribes to a channel: `subscribe('/c/demo')`. */
export declare function subscribe<T = string>(where: Where, options?: Options<T>): Subscription<T>;
/** Posts one message; resolves to its cursor. */
export declare function publish(where: Where, data: BodyInit, options?: {
    event?: string;
    contentType?: string;
    key?: string;
}): Promise<string>;
