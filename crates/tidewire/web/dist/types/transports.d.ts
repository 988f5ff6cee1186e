import type { Transport } from './types.js';
/** A failure with the status and the sentence of a refusal. */
export declare class Refused extends Error {
    readonly status: number;
    readonly retryAfter?: number | undefined;
    readonly body?: Record<string, any> | undefined;
    constructor(status: number, detail: string, retryAfter?: number | undefined, body?: Record<string, any> | undefined);
}
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
/** Waits, or less if the signal is aborted. */
export declare function sleep(ms: number, signal: AbortSignal): Promise<void>;
