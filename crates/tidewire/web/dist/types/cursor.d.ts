/**
 * Returns the position after a message whose cursor is `next`: in each channel the later of both
 * positions. With several channels, each cursor may be ahead in another channel. The result is
 * `mine` if the message was delivered already.
 *
 * A cursor is `epoch-number`. The cursors of several channels are joined by points.
 */
export declare function further(mine: string, next: string): string;
