// The scripts that docs/LEARN.md tells the reader to paste into the console of a browser.
// Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before } from 'node:test';
import { launch, openPage } from './browser.mjs';
import { test, until } from './deadline.mjs';
import { post, startServer } from './server.mjs';

const PAGE = new URL('../../../../docs/LEARN.md', import.meta.url);
const scripts = [...readFileSync(PAGE, 'utf8').matchAll(/^```js\n(.*?)^```$/gms)].map(([, script]) => script);

let server, browser;

before(async () => {
  server = await startServer();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.stop();
});

test('there are scripts for an EventSource and for a WebSocket', () => {
  for (const name of ['EventSource', 'WebSocket'])
    assert(
      scripts.some((script) => script.includes(`new ${name}`)),
      `docs/LEARN.md has no js block with ${name}`,
    );
});

for (const script of scripts) {
  const [first] = script.split('\n');
  test(`it prints what is published: ${first}`, async (t) => {
    const page = await openPage(t, browser, server.base);
    const printed = [];
    page.on('console', (message) => printed.push(message.text()));
    await page.evaluate(script);
    const [, channel] = script.match(/\/c\/(\w+)/);
    // A reader from "now" misses what was published before it was connected, so publish again.
    await until('a message on the console', async () => {
      await post(server.base, channel, 'hello');
      return printed.some((line) => line.endsWith('hello'));
    });
    const sent = script.match(/\.send\('(.*)'\)/)?.[1];
    if (sent) await until('the message that the page sent', () => printed.includes(sent));
  });
}
