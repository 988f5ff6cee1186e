/**
 * Compares positions, and knows the epochs that are over.
 *
 * A cursor is `epoch-number`. The cursors of several channels are joined by points. Numbers go on
 * when a new epoch begins: `a-7` is followed by `a-8`, or by `b-8`. Any other number is a hole.
 *
 * `head` is the position of the reader, and `seen` the position of the transport before the object.
 * Several transports may deliver at the same time, and one may lag: it repeats what the reader has,
 * until it reaches the head. A transport that gets ahead without it is in another log, such as that
 * of a server that has failed since. Both functions throw then. The next attempt asks again at the
 * head.
 */
export declare function lineage(): {
    /**
     * Returns the position after an object whose cursor is `next`, in each channel the later of
     * both, and how many messages are missing before that. With several channels, each position may
     * be ahead in another channel. `moves` is 1 for an object that is itself the next step in one
     * channel, such as a message, and 0 for one that only says where the transport is.
     */
    step(head: string, seen: string, next: string, isGap: boolean, moves: number): [after: string, missing: number];
    /** Returns the position after a reset to `next`. Another transport may have reported it. */
    reset(head: string, seen: string, next: string, isLost: boolean): string;
    /**
     * Notes that the reader moves. With `isLost`, the end of its epoch was lost, so later messages
     * of this epoch are too. After any other reset (`isAnew`), the log may repeat every epoch.
     */
    move(head: string, after: string, isLost: boolean, isAnew: boolean): void;
};
