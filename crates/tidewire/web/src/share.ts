import { further } from './cursor.js';
import type { State } from './types.js';

/** What one tab tells the others: an object of the server, and its cursor before that; or how the connection is. */
interface Told {
  object?: Record<string, any>;
  from?: string;
  transport?: string;
  state?: State;
}

/** A subscription, as its tabs see it. */
export interface Tab {
  head(): string;
  take(object: Record<string, any>, transport: string): void;
  become(state: State): void;
  /** Reads up to the newest message by itself, unless it is over before that. */
  catchUp(over: () => boolean): Promise<void>;
  /** Cuts that short. */
  interrupt(): void;
}

export interface Tabs {
  /** Waits until this tab leads, and connects. Resolves when the connection ends. */
  lead(connect: () => Promise<void>): Promise<void>;
  /** Reads what this tab may have missed. */
  follow(): void;
  tell(told: Told): void;
}

/**
 * One connection for all tabs. The tab that holds the lock has the connection and tells the others what comes; when it closes, crashes or
 * pauses, the lock passes on, and the next tab goes on at its own cursor.
 *
 * A tab hears a message only if it knows what came before: whoever joined late, slept, or was left out reads up to the others first.
 */
export function share(name: string, { head, take, become, catchUp, interrupt }: Tab, closing: AbortSignal): Tabs {
  const others = new BroadcastChannel(name);
  let behind = false;
  let leading = false;
  /** What was heard so far is done with. */
  let listening = Promise.resolve();
  const over = () => leading || closing.aborted;
  const knows = (cursor: string) => further(head(), cursor) === head();

  const hear = ({ object, from, transport, state }: Told) => {
    listening = listening.then(async () => {
      if (behind || (object && !knows(from!) && !knows(object.cursor))) {
        behind = false;
        await catchUp(over);
      }
      if (over()) return;
      if (object) take(object, transport!);
      if (state) become(state);
    });
  };
  others.onmessage = ({ data }) => hear(data);
  closing.addEventListener('abort', () => others.close());

  const follow = () => {
    behind = true;
    hear({});
  };
  return {
    follow,
    async lead(connect) {
      const run = async (lock: unknown) => {
        if (!lock) return follow();
        leading = true;
        interrupt();
        await listening;
        await connect();
        leading = false;
        return true;
      };
      try {
        (await navigator.locks.request(name, { ifAvailable: true }, run)) || (await navigator.locks.request(name, { signal: closing }, run));
      } catch {
        // Closed while it waited; or a place without locks: an old browser, plain HTTP, a sandboxed frame.
        if (!closing.aborted) await connect();
      }
    },
    tell(told) {
      if (leading && !closing.aborted) others.postMessage(told);
    },
  };
}
