import { delivery, guarded } from './delivery.js';
import { share, type Tabs } from './share.js';
import { LONGEST, later, sleep } from './timers.js';
import { asking, reading, request } from './transports.js';
import type { Link, Options, Refused, State, Subscription, Transport, Where } from './types.js';

/** How an attempt ended. */
interface Outcome {
  opened: boolean;
  error?: Partial<Refused>;
  /**
   * Whether the transport may be the cause: the client did not end the attempt, and the functions
   * for URL and headers did not fail or hang.
   */
  blame: boolean;
}

/**
 * The longest wait that a server may ask for, in milliseconds: an hour. So a wrong value does not
 * keep a page away for days.
 */
const LONGEST_RETRY_AFTER = 3_600_000;

/** Options in which transports are objects, not names. */
type Only<T> = Omit<Options<T>, 'transports'> & { transports: Transport[] };

/** Subscribes with these transports only. So a bundle contains only the named transports. */
export function subscribeWith<T = string>(where: Where, options: Only<T>): Subscription<T> {
  const { credentials, headers, minUptime = 5_000, pauseWhenHidden, shared, shouldRetry, signal } = options;
  const times = {
    connectTimeout: 5_000,
    heartbeatTimeout: 35_000,
    pollInterval: 5_000,
    tryBetter: 300_000,
    min: 250,
    max: 30_000,
  };
  const asked: Partial<typeof times> = { ...options, ...options.backoff };
  let which: keyof typeof times;
  // A value that is not above zero is no time, so the default stays.
  for (which in times) if (asked[which]! > 0) times[which] = asked[which]!;
  const plain = headers || credentials === 'omit';
  const transports = options.transports.filter((one) => !(plain && one.bare));
  if (!transports[0] || !transports.every((one) => one.run)) throw new TypeError('no transport');
  const fixed = typeof where === 'function' ? '' : place(where).href.split('?')[0];
  const label = typeof shared === 'string' ? shared : fixed;
  if (shared && !label) throw new TypeError('no name');
  const name = `tidewire:${label}`;

  const closing = new AbortController();
  const isClosed = () => closing.signal.aborted;
  let state: State = 'connecting';
  let used: string | undefined;
  let started = false;
  let frozen = false;
  let failures = 0;
  let tabs: Tabs | undefined;
  /** Ends the connection in use; the loop continues. */
  let cut = new AbortController();
  /** Ends the wait between two attempts. */
  let wake = () => {};
  /** The index of the transport in use. */
  let index = 0;
  /** The attempt in use. A better one may replace it. */
  let running: Promise<Outcome>;
  /** The names of the channels, as the last URL has them. */
  let channels = '';
  /** The timer for trying better transports. */
  let trials: ReturnType<typeof setTimeout>;

  const finish = () => {
    closing.abort();
    interrupt();
    become('closed');
    leaveAll();
  };
  const close = () => {
    drop();
    finish();
  };
  const { audience, cursor, drop, head, isOver, iterate, leaveAll, listeners, take, tell } = delivery(
    options,
    isClosed,
    close,
  );

  const become = (next: State) => {
    if (state === next || state === 'closed') return;
    state = next;
    tabs?.tell({ state });
    tell('state', state);
  };
  const deliver = (object: Record<string, any>, transport: string, seen: string) => {
    const from = head();
    if (isClosed() || !audience()) return;
    if (take(object, transport, seen)) tabs?.tell({ object, from, transport });
    if (isOver()) finish();
  };
  const interrupt = () => {
    cut.abort();
    wake();
  };
  const isPaused = () =>
    isClosed() || frozen || !audience() || (pauseWhenHidden && globalThis.document?.hidden);
  const nap = (ms: number) => sleep(ms, (end) => (wake = end));
  /** Full jitter: a random time below a bound that doubles. */
  const jitter = (attempt: number) => Math.random() * Math.min(times.max, times.min * 2 ** attempt);

  const at = async (parameters: Record<string, string>) => {
    const url = place(typeof where === 'function' ? await where() : where);
    for (const name in parameters) url.searchParams.set(name, parameters[name]!);
    channels = url.pathname.replace(/^.*?\/c\//, '');
    return url;
  };

  /**
   * Makes one connection, and resolves when it ends. Never rejects. With `takeOver`, the connection
   * in use continues until this one opens. Then `takeOver` is called.
   */
  const attempt = async (transport: Transport, takeOver?: () => void): Promise<Outcome> => {
    const own = transports.includes(transport);
    const before = cut;
    const mine = new AbortController();
    const { signal } = mine;
    let opened = false;
    let unanswered = 0;
    /** The position of this attempt. It may be behind the head, which another one may move. */
    let seen = head();
    let error: any;
    let timer: ReturnType<typeof setTimeout>;
    const fail = (reason: unknown) => {
      error ??= reason;
      mine.abort();
    };
    const within = (ms: number) => {
      clearTimeout(timer);
      timer = later(() => fail(new Error(`silent for ${ms} ms`)), ms);
    };
    const alive = (more = 0) => {
      if (signal.aborted) return;
      within(times.heartbeatTimeout + more);
      if (opened) return;
      opened = true;
      if (!own) return;
      if (takeOver) {
        cut = mine;
        takeOver();
        before.abort();
      }
      trials = later(lookForBetter, times.tryBetter);
      used = transport.name;
      guarded(
        () => sessionStorage.setItem(name, used!),
        () => {},
      );
      become('open');
    };
    // If the function for URL or headers fails or hangs, the transport is not the cause.
    const ask = async <V>(provider: () => V | Promise<V>): Promise<V> => {
      unanswered++;
      const value = await provider();
      unanswered--;
      signal.throwIfAborted();
      return value;
    };
    const object = (object: Record<string, any>) => {
      if (object.type === 'deleted') object.channel ??= channels;
      else alive();
      if (signal.aborted) return;
      guarded(() => deliver(object, transport.name, seen), fail);
      seen = object.cursor ?? seen;
    };
    const link: Link = {
      get cursor() {
        return head();
      },
      credentials,
      signal,
      alive,
      object,
      line: (text) => guarded(() => (text ? object(JSON.parse(text)) : alive()), fail),
      headers: () => ask(() => headers?.()),
      url: (parameters) => ask(() => at({ since: (seen = head()), ...parameters })),
    };
    if (takeOver) before.signal.addEventListener('abort', () => opened || mine.abort(), { signal });
    else {
      cut = mine;
      if (own) {
        used = transport.name;
        become('connecting');
      }
    }
    within(times.connectTimeout);
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
    try {
      // The caller needs the promise of this attempt before the transport starts.
      await undefined;
      await Promise.race([transport.run(link, times), aborted]);
    } catch (reason) {
      if (!signal.aborted) fail(reason);
    }
    const blame = !unanswered && (error || !signal.aborted);
    clearTimeout(timer!);
    mine.abort();
    return { opened, error, blame };
  };

  /**
   * Tries the transports before the one in use, while that one continues. The first that opens
   * takes over. A failure loses no message.
   */
  const lookForBetter = async () => {
    const { signal } = cut;
    for (let i = 0; i < index && !signal.aborted; i++) {
      const better: Promise<Outcome> = attempt(transports[i]!, () => {
        index = i;
        running = better;
      });
      await better;
    }
    if (!signal.aborted) trials = later(lookForBetter, times.tryBetter);
  };

  /** One connection after another, until the subscription closes or pauses. */
  const loop = async () => {
    const last = guarded(
      () => sessionStorage.getItem(name),
      () => {},
    );
    index = Math.max(
      0,
      transports.findIndex(({ name }) => name === last),
    );
    let reachable = false;
    while (!isPaused()) {
      const began = Date.now();
      let outcome: Outcome;
      running = attempt(transports[index]!);
      for (let ended; ended !== running; ) outcome = await (ended = running);
      let { opened, error, blame } = outcome!;
      clearTimeout(trials!);
      if (isPaused()) break;
      const transport = transports[index]!.name;
      if (opened) {
        reachable = false;
        if (Date.now() - began >= minUptime) failures = 0;
      } else if (blame && !error?.retryAfter && error?.status !== 401) {
        // Ask the server with a plain request. If it answered before the failure and answers now,
        // this transport is the cause. If it does not answer, the next transport would fail too,
        // and the error of the request is the reason.
        const before = reachable || error?.status! < 500;
        const answer = await attempt(asking);
        if (isClosed()) break;
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
        if (typeof verdict == 'number' && verdict >= 0) wait = verdict;
        else if (error.retryAfter! > 0) floor = Math.min(error.retryAfter!, LONGEST_RETRY_AFTER);
      }
      become('waiting');
      const until = Date.now() + floor;
      // `wake` ends the wait, but not before the time that the server asked for.
      for (let rest = floor + (isPaused() ? 0 : wait); !isClosed() && rest >= 0; rest = until - Date.now())
        await nap(rest);
    }
  };

  /** Reads from the cursor until there is nothing more. */
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
  const on = (target: EventTarget | undefined, type: string, then: () => void) =>
    target?.addEventListener?.(type, then, { signal: closing.signal });
  /** Reacts at once when the page is hidden or shown, or the network is back. */
  const watchPage = () => {
    const goOn = () => {
      failures = 0;
      wake();
      tabs?.follow();
    };
    on(globalThis, 'online', () => {
      // The connection from before is dead. Without this, only the time-out would end it.
      cut.abort();
      goOn();
    });
    on(globalThis, 'pagehide', () => {
      // An open connection would keep the page out of the back-forward cache.
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
    if (shared) tabs = share(name, { take: deliver, become, catchUp, interrupt }, closing.signal);
    while (!isClosed()) {
      if (isPaused()) {
        become('waiting');
        await nap(LONGEST);
      } else await (tabs ? tabs.lead(loop) : loop());
    }
  };

  if (signal?.aborted) close();
  on(signal, 'abort', close);

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
    async publish(
      data,
      {
        event,
        contentType,
        close,
        producer,
        key = crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join('-'),
      } = {},
    ) {
      const link = {
        credentials,
        url: at,
        async headers() {
          const fields = new Headers(await headers?.());
          if (producer) {
            for (const name of ['id', 'epoch', 'seq'] as const)
              fields.set(`producer-${name}`, String(producer[name]));
          } else fields.set('idempotency-key', key);
          if (contentType) fields.set('content-type', contentType);
          return fields;
        },
      };
      // With a string, `fetch` would send the media type text/plain, and every reader would get it.
      const body = typeof data === 'string' ? new Blob([data]) : data;
      const parameters = { ...(event && { event }), ...(close && { close: '1' }) };
      const response = await request(link, parameters, { method: 'POST', body });
      const { cursor } = await response.json();
      if (!cursor) throw new Error('not Tidewire');
      return cursor;
    },
    close,
  };
}

function place(where: string | URL): URL {
  return new URL(where, globalThis.location?.href);
}
