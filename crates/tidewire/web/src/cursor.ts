/**
 * How many past epochs of a channel are remembered. A server remembers as many. An older one is
 * only met in an answer that is older than 64 failures of the server.
 */
const REMEMBERED = 64;

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
export function lineage() {
  /** For each channel, the epochs from which the reader has moved on. */
  const past: Set<string>[] = [];

  /**
   * How many messages the position `next` is ahead of `mine`: 1 if it is contiguous, 0 or less if
   * it was reached before or was lost, `Infinity` if the epoch is new and the number is not the
   * next one. Any position is contiguous to `now` and `earliest`.
   */
  const ahead = (mine = '', next: string, i: number) => {
    const [epoch, number] = next.split('-');
    const [before, last] = mine.split('-');
    if (past[i]?.has(epoch!)) return 0;
    if (!last) return 1;
    const by = +number! - +last;
    return epoch === before || by === 1 ? by : Infinity;
  };

  const behind = (): never => {
    throw new Error('the transport is behind');
  };

  return {
    /**
     * Returns the position after an object whose cursor is `next`, in each channel the later of
     * both, and how many messages are missing before that. With several channels, each position may
     * be ahead in another channel. `moves` is 1 for an object that is itself the next step in one
     * channel, such as a message, and 0 for one that only says where the transport is.
     */
    step(
      head: string,
      seen: string,
      next: string,
      isGap: boolean,
      moves: number,
    ): [after: string, missing: number] {
      const [mine, saw] = [head.split('.'), seen.split('.')];
      let missing = -moves;
      const after = next.split('.').map((one, i) => {
        const by = ahead(mine[i], one, i);
        if (!(by > 0)) return mine[i];
        if (mine[i] !== saw[i] || (by === Infinity && !isGap)) behind();
        // From `now` and `earliest`, nothing is missing.
        if (mine[i]?.includes('-')) missing += by;
        return one;
      });
      return [after.join('.'), missing];
    },

    /** Returns the position after a reset to `next`. Another transport may have reported it. */
    reset(head: string, seen: string, next: string, isLost: boolean): string {
      const [mine, saw] = [head.split('.'), seen.split('.')];
      const after = next.split('.').map((one, i) => {
        if (mine[i] === saw[i]) return one;
        // The reset is about another channel, or the reader has been there.
        const isSame = isLost || one.split('-')[0] === mine[i]?.split('-')[0];
        return one === saw[i] || (isSame && ahead(mine[i], one, i) <= 0) ? mine[i] : behind();
      });
      return after.join('.');
    },

    /**
     * Notes that the reader moves. With `isLost`, the end of its epoch was lost, so later messages
     * of this epoch are too. After any other reset (`isAnew`), the log may repeat every epoch.
     */
    move(head: string, after: string, isLost: boolean, isAnew: boolean) {
      const mine = head.split('.');
      after.split('.').forEach((next, i) => {
        const [before, last] = (mine[i] ?? '').split('-');
        const [epoch] = next.split('-');
        if (next === mine[i] || !last) return;
        const over = (past[i] ??= new Set());
        if (isAnew) return over.clear();
        if (epoch !== before) over.delete(epoch!);
        if (isLost || epoch !== before) over.add(before!);
        if (over.size > REMEMBERED) over.delete([...over][0]!);
      });
    },
  };
}
