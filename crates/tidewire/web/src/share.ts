import { guarded } from './delivery.js';
import type { State } from './types.js';

/**
 * A message from the leading tab to the others: an object of the server with the cursor before it,
 * or the state of the connection.
 */
interface Told {
  object?: Record<string, any>;
  from?: string;
  transport?: string;
  state?: State;
}

/** The parts of a subscription that this file uses. */
export interface Tab {
  /** Delivers an object of a tab that was at `seen`. Throws if messages before it are missing. */
  take(object: Record<string, any>, transport: string, seen: string): void;
  become(state: State): void;
  /** Reads from the server up to the newest message, or until `over` returns true. */
  catchUp(over: () => boolean): Promise<void>;
  /** Ends the connection in use, or the wait. */
  interrupt(): void;
}

export interface Tabs {
  /** Waits until this tab leads, then connects. Resolves when the connection ends. */
  lead(connect: () => Promise<void>): Promise<void>;
  /** Reads messages that this tab may have missed. */
  follow(): void;
  tell(told: Told): void;
}

/**
 * One connection for all tabs. The tab that holds the lock has the connection and passes all
 * objects on to the others. When it closes, crashes or pauses, the next tab gets the lock and
 * continues at its own cursor.
 *
 * A tab accepts a message only if it has all messages before it. A tab that joined late, slept or
 * missed a message first reads from the server until it has caught up.
 */
export function share(
  name: string,
  { take, become, catchUp, interrupt }: Tab,
  closing: AbortSignal,
): Tabs {
  const others = new BroadcastChannel(name);
  let behind = false;
  let leading = false;
  /** Resolves when all messages of the leading tab are handled. */
  let listening = Promise.resolve();
  const over = () => leading || closing.aborted;

  const hear = ({ object, from, transport, state }: Told) => {
    // If a message does not fit here, messages before it are missing.
    const accept = () =>
      guarded(
        () => object && take(object, transport!, from!),
        () => (behind = true),
      );
    listening = listening.then(async () => {
      if (over()) return;
      if (!behind) accept();
      if (behind) {
        behind = false;
        await catchUp(over);
        if (over()) return;
        accept();
      }
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
        (await navigator.locks.request(name, { ifAvailable: true }, run)) ||
          (await navigator.locks.request(name, { signal: closing }, run));
      } catch {
        // Either the subscription was closed meanwhile, or there are no locks: in an old browser,
        // over plain HTTP, in a sandboxed frame.
        if (!closing.aborted) await connect();
      }
    },
    tell(told) {
      if (leading && !closing.aborted) others.postMessage(told);
    },
  };
}
