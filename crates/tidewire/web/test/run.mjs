// Runs every *.test.mjs, each in a process and with a time of its own: a browser that hangs ends with its file.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Far more than a file takes on a slow machine; it only ends what would never end. */
const LIMIT = 300_000;

const folder = dirname(fileURLToPath(import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(folder).filter((file) => file.endsWith('.test.mjs') && (!wanted.length || wanted.some((word) => file.includes(word))));
if (!files.length) throw new Error(`no test file is named like ${wanted.join(' or ')}`);

/** What is still open when the tests are done ends with them, where node knows how; `client.test.mjs` shows that the client leaves nothing. */
const [major, minor] = process.versions.node.split('.').map(Number);
const FLAGS = ['--test-reporter=spec', ...(major > 21 || (major === 20 && minor > 13) ? ['--test-force-exit'] : [])];

/** Files at a time: they mostly wait, and each has its own server and browser, which need 300 MB. */
const ABREAST = 4;

/** What takes longest is begun first, or it would run alone at the end. */
const LONGEST = ['playground', 'page', 'feeds', 'examples', 'native', 'browser'].map((name) => `${name}.test.mjs`);
const begin = (file) => (LONGEST.includes(file) ? LONGEST.indexOf(file) : LONGEST.length);

/** What runs now. Who ends this process ends them too: their groups are not its own. */
const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const kill of running) kill('SIGKILL');
    process.kill(process.pid, signal);
  });
}

const failed = [];
const waiting = files.sort((a, b) => begin(a) - begin(b));
await Promise.all(
  Array.from({ length: ABREAST }, async () => {
    for (let file; (file = waiting.shift()); ) {
      const began = performance.now();
      const { problem, output } = await run(join(folder, file));
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(`${output}${problem ? `FAILED (${problem})` : 'ok'}: ${file}, ${seconds} s\n`);
      if (problem) failed.push(file);
    }
  }),
);
if (failed.length) {
  console.error(`browser tests failed: ${failed.join(', ')}; the reasons are above`);
  process.exitCode = 1;
}

/** Resolves to what it said, and to what went wrong, if anything did. */
function run(file) {
  return new Promise((resolve) => {
    // A group of its own, so that what it started ends with it.
    const child = spawn(process.execPath, [...FLAGS, file], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
    const kill = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // It is gone already.
      }
    };
    running.add(kill);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      // Asked first, playwright ends its browser; a browser whose pipe is gone ends by itself.
      kill('SIGTERM');
      setTimeout(() => kill('SIGKILL'), 5_000).unref();
    }, LIMIT);
    child.on('error', (error) => resolve({ problem: error.message, output }));
    // What it left behind must not keep its output open.
    child.on('exit', () => kill('SIGKILL'));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(kill);
      const problem = late ? `not done within ${LIMIT / 1000} s` : code === 0 ? '' : `exit ${code ?? signal}`;
      resolve({ problem, output });
    });
  });
}
