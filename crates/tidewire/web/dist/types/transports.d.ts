import type { Link, Transport } from './types.js';
/** What a request needs of a link. */
type Asking = Pick<Link, 'url' | 'headers' | 'credentials'> & Partial<Pick<Link, 'signal' | 'object' | 'cursor'>>;
/**
 * A request whose refusal is an error, and so is any answer that is not JSON: a captive portal answers
 * everything with a page.
 *
 * It asks once more after a 401, with a new URL and new headers: a token may have run out between two
 * attempts. And after a refusal that tells a gap: before the next poll, what is left may be gone as
 * well. That is told of one channel at a time; more refusals in a row than there are channels are an
 * error, so servers that contradict each other are backed off from.
 */
export declare function request(link: Asking, parameters: Record<string, string>, init?: RequestInit): Promise<Response>;
/** Frames both ways; survives most networks, and needs no polling. */
export declare const websocket: Transport;
/** The browser's own EventSource. It dies for good of any status but 200, so each attempt makes a new one. */
export declare const sse: Transport;
/** A response that is read while it is written; unlike the two above it can send headers. */
export declare const fetching: Transport;
/** A request that is held until there is something to say. */
export declare const longpoll: Transport;
/** A question now and then: what is left when everything else is broken. */
export declare const polling: Transport;
/** Polls until there is nothing more, and ends. */
export declare const reading: Transport;
/** Asks whether the server answers at all, and takes no message. */
export declare const asking: Transport;
export {};
