import type { Options, Subscription, Transport, Where } from './types.js';
/** Options in which transports are objects, not names. */
type Only<T> = Omit<Options<T>, 'transports'> & {
    transports: Transport[];
};
/** Subscribes with these transports only. So a bundle contains only the named transports. */
export declare function subscribeWith<T = string>(where: Where, options: Only<T>): Subscription<T>;
export {};
