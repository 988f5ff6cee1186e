import type { Link, Transport } from './types.js';
/** The parts of a link that a request needs. */
type Asking = Pick<Link, 'url' | 'headers' | 'credentials'> & Partial<Pick<Link, 'signal' | 'object' | 'cursor'>>;
/**
 * Sends a request. A refusal is an error, and so is an answer that is not JSON: a captive portal
 * answers every request with a page.
 *
 * After a 401 it repeats the request once, with a new URL and new headers, because a token may have
 * expired. After a refusal that reports a gap it repeats the request at once, because more messages
 * could be lost before the next poll. A refusal reports the gap of one channel. So more such
 * refusals in a row than there are channels are an error, and the backoff applies, for example when
 * two servers contradict each other.
 */
export declare function request(link: Asking, parameters: Record<string, string>, init?: RequestInit): Promise<Response>;
/** A WebSocket. It works in most networks, and needs no polling. */
export declare const websocket: Transport;
/**
 * The browser's EventSource. It closes for good after a status other than 200, so each attempt
 * makes a new one.
 */
export declare const sse: Transport;
/**
 * A response that is read while the server writes it. Unlike the two above, it can send headers.
 */
export declare const fetching: Transport;
/** Requests that the server holds until there is a message. */
export declare const longpoll: Transport;
/** A request from time to time. It works where all other transports fail. */
export declare const polling: Transport;
/** Polls until there is nothing more, then ends. */
export declare const reading: Transport;
/**
 * Checks whether the server answers a plain request, and whether the channel has ended at this
 * place or was deleted: a browser does not tell the page why an EventSource or a WebSocket failed.
 * It reads no messages.
 */
export declare const asking: Transport;
export {};
