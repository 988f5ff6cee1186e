import { delivery, guarded } from './delivery.js';
import { share, type Tabs } from './share.js';
import { asking, reading, request } from './transports.js';
import type { Link, Options, Refused, State, Subscription, Transport, Where } from './types.js';

/** How an attempt ended. */
interface Outcome {
  opened: boolean;
  error?: Partial<Refused>;
  /** Whether the transport may be to blame: it was not cut from our side, and URL and headers were there. */
  blame: boolean;
}

/** Options with transports alone, not their names. */
type Only<T> = Omit<Options<T>, 'transports'> & { transports: Transport[] };

/** Subscribes with these transports and no others: a bundle has only those that are named. */
export function subscribeWith<T = string>(where: Where, options: Only<T>): Subscription<T> {
  const { backoff = {}, credentials, headers, pauseWhenHidden, shared, shouldRetry, signal } = options;
  const { connectTimeout = 5_000, heartbeatTimeout = 35_000, pollInterval = 5_000, minUptime = 5_000, tryBetter = 300_000 } = options;
  const plain = headers || credentials === 'omit';
  const transports = options.transports.filter((one) => !(plain && one.bare));
  if (!transports[0] || !transports.every((one) => one.run)) throw new TypeError('no transport');
  const fixed = typeof where === 'function' ? '' : place(where).href.split('?')[0];
  if (shared === true && !fixed) throw new TypeError('shared: no name');
  const name = `tidewire:${shared && shared !== true ? shared : fixed}`;

  const closing = new AbortController();
  const isClosed = () => closing.signal.aborted;
  let state: State = 'connecting';
  let used: string | undefined;
  let started = false;
  let frozen = false;
  let failures = 0;
  let tabs: Tabs | undefined;
  /** Cuts the connection in use; the loop goes on. */
  let cut = new AbortController();
  /** Ends the wait between two attempts. */
  let wake = () => {};
  /** Which of the transports is in use. */
  let index = 0;
  /** An attempt with a better one, which opened while another was in use. */
  let better: Promise<Outcome> | undefined;
  let trying = false;

  const close = () => {
    closing.abort();
    interrupt();
    become('closed');
    leaveAll();
  };
  const { audience, cursor, head, iterate, leaveAll, listeners, take, tell } = delivery(options, isClosed, close);

  const become = (next: State) => {
    if (state === next || state === 'closed') return;
    state = next;
    tabs?.tell({ state });
    tell('state', state);
  };
  const deliver = (object: Record<string, any>, transport: string) => {
    const from = head();
    if (!isClosed() && audience() && take(object, transport)) tabs?.tell({ object, from, transport });
  };
  const interrupt = () => {
    cut.abort();
    wake();
  };
  const isPaused = () => isClosed() || frozen || !audience() || (pauseWhenHidden && globalThis.document?.hidden);
  const nap = (ms: number) =>
    new Promise<void>((resolve) => {
      // A timer of more than 31 bits fires at once.
      const timer = setTimeout(resolve, Math.min(ms, 1e9));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  /** Full jitter: any time up to one that doubles. */
  const jitter = (attempt: number) => Math.random() * Math.min(backoff.max ?? 30_000, (backoff.min ?? 250) * 2 ** attempt);

  const at = async (parameters: Record<string, string>) => {
    const url = place(typeof where === 'function' ? await where() : where);
    for (const name in parameters) url.searchParams.set(name, parameters[name]!);
    return url;
  };

  /** Which transport worked last in this session. Without a storage there is no memory, and the order is tried anew. */
  const memory = (set?: string) =>
    guarded(
      () => (set ? sessionStorage.setItem(name, set) : sessionStorage.getItem(name)),
      () => {},
    );

  /** One connection, from its first byte to its end. Never rejects. With `takeOver` it is beside the one in use, until it opens. */
  const attempt = async (transport: Transport, takeOver?: () => void): Promise<Outcome> => {
    const own = transports.includes(transport);
    const before = cut;
    const mine = new AbortController();
    const { signal } = mine;
    let opened = false;
    let unanswered = 0;
    let error: any;
    let timer: ReturnType<typeof setTimeout>;
    const fail = (reason: unknown) => {
      error ??= reason;
      mine.abort();
    };
    const within = (ms: number) => {
      clearTimeout(timer);
      timer = setTimeout(() => fail(new Error(`silent for ${ms} ms`)), ms);
    };
    const alive = (more = 0) => {
      if (signal.aborted) return;
      within(heartbeatTimeout + more);
      if (opened) return;
      opened = true;
      if (!own) return;
      if (takeOver) {
        cut = mine;
        takeOver();
        before.abort();
      }
      memory((used = transport.name));
      become('open');
    };
    // A provider of URLs or headers that fails or hangs is not the transport's fault.
    const ask = async <V>(provider: () => V | Promise<V>): Promise<V> => {
      unanswered++;
      const value = await provider();
      unanswered--;
      signal.throwIfAborted();
      return value;
    };
    const object = (object: Record<string, any>) => {
      alive();
      if (!signal.aborted) deliver(object, transport.name);
    };
    const link: Link = {
      get cursor() {
        return head();
      },
      credentials,
      signal,
      alive,
      object,
      line(text) {
        try {
          text ? object(JSON.parse(text)) : alive();
        } catch (error) {
          fail(error);
        }
      },
      headers: () => ask(() => headers?.()),
      url: (parameters) => ask(() => at({ since: head(), ...parameters })),
    };
    if (takeOver) before.signal.addEventListener('abort', () => opened || mine.abort(), { signal });
    else {
      cut = mine;
      if (own) {
        used = transport.name;
        become('connecting');
      }
    }
    within(connectTimeout);
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
    const running = Promise.resolve().then(() => transport.run(link, { pollInterval, heartbeatTimeout }));
    await Promise.race([running, aborted]).catch((reason) => signal.aborted || (error = reason));
    const cutOff = signal.aborted && !error;
    clearTimeout(timer!);
    mine.abort();
    return { opened, error, blame: !unanswered && !cutOff };
  };

  /** Opens the transports before the one in use, beside it: what gets through takes over, and what does not costs nobody a message. */
  const lookForBetter = async () => {
    if (trying) return;
    trying = true;
    const { signal } = cut;
    for (let i = 0; i < index && !signal.aborted; i++) {
      const running: Promise<Outcome> = attempt(transports[i]!, () => {
        index = i;
        better = running;
        trying = false;
      });
      await running;
    }
    trying = false;
  };

  /** One connection after another, until the subscription closes or pauses. */
  const loop = async () => {
    const last = memory();
    index = Math.max(0, transports.findIndex(({ name }) => name === last));
    let reachable = false;
    while (!isPaused()) {
      const began = Date.now();
      const trials = setInterval(lookForBetter, tryBetter);
      let { opened, error, blame } = await attempt(transports[index]!);
      for (let running; (running = better); ) {
        better = undefined;
        ({ opened, error } = await running);
      }
      clearInterval(trials);
      if (isPaused()) break;
      const transport = transports[index]!.name;
      if (opened) {
        reachable = false;
        if (Date.now() - began >= minUptime) failures = 0;
      } else if (blame && !error?.retryAfter && error?.status !== 401) {
        // It is this transport that does not get through if the server could be asked before it failed, and can be now. If it cannot, the next
        // transport would not get through either, and why is in the answer.
        const before = reachable || error?.status! < 500;
        const answer = await attempt(asking);
        reachable = answer.opened;
        if (before && reachable) [reachable, index] = [false, (index + 1) % transports.length];
        else if (!error?.status) error = answer.error ?? error;
      }
      let wait = jitter(failures++);
      let floor = 0;
      if (error) {
        const { status, message: detail = '' } = error;
        const failure = { transport, status, detail };
        tell('error', failure);
        const verdict = guarded(() => shouldRetry?.(failure, failures));
        if (verdict === false) close();
        if (typeof verdict === 'number') wait = verdict;
        else floor = error.retryAfter ?? 0;
      }
      become('waiting');
      const until = Date.now() + floor;
      if (!isPaused()) await nap(floor + wait);
      // Waking up does not overrule what the server asked for.
      for (let rest; !isClosed() && (rest = until - Date.now()) > 0; ) await nap(rest);
    }
  };

  /** Reads on from the cursor until there is nothing more. */
  const catchUp = async (over: () => boolean) => {
    for (let tries = 0; !over(); tries++) {
      const { error } = await attempt(reading);
      if (over()) break;
      if (!error) return become('open');
      await nap(jitter(tries));
    }
  };

  const rest = () => {
    if (isPaused()) interrupt();
  };
  /** The page goes to sleep, wakes up, or finds the network again: no timer knows that as soon. */
  const watchPage = () => {
    const on = (target: EventTarget, type: string, then: () => void) =>
      target?.addEventListener?.(type, then, { signal: closing.signal });
    const goOn = () => {
      failures = 0;
      wake();
      tabs?.follow();
    };
    on(globalThis, 'online', () => {
      // What was open before is dead, and would be silent until its time is over.
      cut.abort();
      goOn();
    });
    on(globalThis, 'pagehide', () => {
      // An open connection keeps the page out of the back-forward cache.
      frozen = true;
      rest();
    });
    on(globalThis, 'pageshow', () => {
      frozen = false;
      goOn();
    });
    on(globalThis.document, 'visibilitychange', () => (document.hidden ? rest() : goOn()));
  };

  const start = async () => {
    wake();
    if (started || isClosed()) return;
    started = true;
    watchPage();
    if (shared) tabs = share(name, { head, take: deliver, become, catchUp, interrupt }, closing.signal);
    while (!isClosed()) {
      if (isPaused()) {
        become('waiting');
        await nap(1e9);
      } else await (tabs ? tabs.lead(loop) : loop());
    }
  };

  if (signal?.aborted) close();
  signal?.addEventListener('abort', close, { signal: closing.signal });

  return {
    get state() {
      return state;
    },
    get transport() {
      return used;
    },
    get cursor() {
      return cursor();
    },
    on(event, listener) {
      listeners[event].add(listener);
      if (event === 'message') start();
      return this;
    },
    off(event, listener) {
      listeners[event].delete(listener);
      rest();
      return this;
    },
    [Symbol.asyncIterator]() {
      const iterator = iterate();
      start();
      return iterator;
    },
    async publish(data, { event, contentType, key = `${Math.random()}${Math.random()}` } = {}) {
      const link = {
        credentials,
        url: at,
        async headers() {
          const fields = new Headers(await headers?.());
          fields.set('idempotency-key', key);
          if (contentType) fields.set('content-type', contentType);
          return fields;
        },
      };
      // `fetch` would call any text text/plain, and every reader would be told so with every message.
      const body = typeof data === 'string' ? new Blob([data]) : data;
      const response = await request(link, event ? { event } : {}, { method: 'POST', body });
      return (await response.json()).cursor;
    },
    close,
  };
}

function place(where: string | URL): URL {
  return new URL(where, globalThis.location?.href);
}
