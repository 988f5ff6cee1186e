/**
 * Where one is after a message that ends at `next`: the later position in each channel, since two views of several channels may each be ahead in
 * one. It is `mine` if that message was delivered already.
 *
 * A cursor is `epoch-number`, joined by points where there are several channels.
 */
export declare function further(mine: string, next: string): string;
