// Helpers of the tests of the playground: reading the lanes, and using them.
import assert from 'node:assert/strict';
import { launch } from './browser.mjs';
import { until } from './deadline.mjs';
import { startServer } from './server.mjs';

export const FIRST = ['poll', 'longpoll', 'sse', 'websocket', 'stream'];
export const MORE = ['xhr', 'multipart', 'raw', 'iframe', 'jsonp'];

/** Starts a server with the playground, and a browser. `stop` ends both. */
export async function open() {
  const server = await startServer('--playground', 'on', '--comet');
  const browser = await launch();
  const stop = async () => {
    await browser.close();
    server.stop();
  };
  return { server, browser, stop };
}

let visits = 0;

/**
 * Opens the page on a new channel, and waits for its lanes. At the end, it must have logged no
 * error but those that are `expected`.
 */
export async function visit(
  t,
  { server, browser },
  { base = server.base, channel = `visit-${visits++}`, expected, ...options } = {},
) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const complaints = [];
  page.on('console', (message) => {
    const isComplaint = ['error', 'warning'].includes(message.type());
    if (isComplaint && !expected?.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.stack));
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, [], 'the page logged errors');
  });
  await page.goto(`${base}/#${channel}`);
  const it = new Visit(page, complaints);
  // The page makes a request before it shows the lanes.
  await page.waitForSelector(`#lane-${FIRST.at(-1)}`, { state: 'attached' });
  for (const id of FIRST) await it.until(id, 'connected', (lane) => lane.state === 'connected');
  return it;
}

class Visit {
  constructor(page, complaints) {
    this.page = page;
    this.complaints = complaints;
  }

  /** Returns what a lane shows. */
  lane(id) {
    return this.page.$eval(`#lane-${id}`, (lane) => {
      const numbers = Object.fromEntries(
        [...lane.querySelectorAll('.numbers div')].map((row) => [
          row.querySelector('dt').textContent,
          row.querySelector('dd').textContent,
        ]),
      );
      const count = (name) => Number(numbers[name].split(' ')[0].replaceAll(',', ''));
      const [, empty = '0'] = /\(([\d,]+) empty\)/.exec(numbers.requests) ?? [];
      return {
        empty: Number(empty.replaceAll(',', '')),
        numbers,
        state: lane.querySelector('.state').textContent,
        messages: count('messages'),
        requests: count('requests'),
        reconnects: count('reconnects'),
        gaps: count('gaps reported'),
        texts: [...lane.querySelectorAll('.messages .data')].map((data) => data.textContent),
      };
    });
  }

  until(id, what, condition) {
    return until(
      `${id}: ${what}`,
      async () => condition(await this.lane(id)),
      // A script that failed may be the reason.
      async () => `${this.complaints.join('; ')} ${JSON.stringify(await this.lane(id))}`,
    );
  }

  press(id, button) {
    return this.page.click(`#lane-${id} .controls button:has-text("${button}")`);
  }

  async publish(text, count = 1) {
    await this.page.fill('[name=text]', text);
    await this.page.fill('[name=count]', String(count));
    await this.page.click('#publish [type=submit]');
  }

  /**
   * Publishes until these lanes are behind by three messages. Messages in flight may still arrive.
   */
  async fallBehind(...ids) {
    await until(`${ids} behind`, async () => {
      const { messages } = await this.lane('websocket');
      const behind = await Promise.all(ids.map(async (id) => messages - (await this.lane(id)).messages));
      if (behind.every((n) => n >= 3)) return true;
      await this.publish('more');
      await this.until('websocket', 'it', (lane) => lane.messages > messages);
    });
  }

  /**
   * The number of messages that a lane has, or that were reported as lost: a busy machine may lose
   * some.
   */
  async known(id) {
    const row = await this.row(id);
    return Number(row.messages.replaceAll(',', '')) + Number(row['reported lost'].replaceAll(',', ''));
  }

  /**
   * Opens one write or read after the other until the condition holds. The list does not change
   * while an entry is open, so each is closed again.
   */
  async unfold(id, direction, what, shown, condition) {
    const reads = this.page.locator(`#lane-${id} .read.${direction}`);
    let found = [];
    const look = async () => {
      found = [];
      for (let i = 0; i < (await reads.count()); i++) {
        const read = reads.nth(i);
        await read.locator('summary').click();
        found.push(await read.locator(shown).first().textContent());
        await read.locator('summary').click();
      }
      return condition(found);
    };
    await until(`${id} ${direction}: ${what}`, look, () => found.join('; '));
  }

  /** Returns a row of the table that compares the techniques. */
  row(id) {
    return this.page.$$eval(`#summary-table tr[data-lane=${id}] td`, (cells) =>
      Object.fromEntries(cells.map((cell) => [cell.dataset.name, cell.textContent])),
    );
  }
}
