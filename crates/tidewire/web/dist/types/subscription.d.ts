import type { Options, Subscription, Transport, Where } from './types.js';
/** Options with transports alone, not their names. */
type Only<T> = Omit<Options<T>, 'transports'> & {
    transports: Transport[];
};
/** Subscribes with these transports and no others: a bundle has only those that are named. */
export declare function subscribeWith<T = string>(where: Where, options: Only<T>): Subscription<T>;
export {};
