import type { Subscription } from './subscription.js';

/**
 * One connection for all tabs. The tab that holds the lock has the connection and tells the others what comes; when it closes, the
 * lock passes on, and the next tab goes on at its own cursor.
 */
export function share(name: string, mine: Subscription<any>, connect: () => Promise<void>, signal: AbortSignal): void {
  if (!globalThis.navigator?.locks || !globalThis.BroadcastChannel) {
    void connect();
    return;
  }
  const others = new BroadcastChannel(name);
  let leading = false;
  // A tab that begins further back than the others reads up to them by itself, and hears them afterwards.
  let waiting: any[] | undefined = mine.cursor === 'now' ? undefined : [];
  const hear = (data: any) => {
    if (!leading) mine.take(data.object, data.transport);
  };
  others.onmessage = ({ data }) => (waiting ? waiting.push(data) : hear(data));
  if (waiting)
    void mine.catchUp().then(() => {
      const heard = waiting!;
      waiting = undefined;
      heard.forEach(hear);
    });
  const take = mine.take.bind(mine);
  mine.take = (object, transport) => {
    if (leading && object.type !== 'hello') others.postMessage({ object, transport });
    take(object, transport);
  };
  signal.addEventListener('abort', () => others.close());
  navigator.locks
    .request(name, { signal }, () => {
      leading = true;
      return connect();
    })
    .catch(() => {});
}
