// Runs every *.test.mjs in a separate process with a time limit. So a browser that hangs ends with
// its file.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Far more milliseconds than a file takes on a slow machine: only for files that hang. */
const LIMIT = 300_000;

const folder = dirname(fileURLToPath(import.meta.url));
const wanted = process.argv.slice(2);
const isWanted = (file) => !wanted.length || wanted.some((word) => file.includes(word));
const files = readdirSync(folder).filter((file) => file.endsWith('.test.mjs') && isWanted(file));
if (!files.length) throw new Error(`no test file has a name with ${wanted.join(' or ')}`);

/**
 * Handles that are still open at the end do not keep the process running, if node has the option.
 * `client.test.mjs` tests that the client leaves nothing open.
 */
const [major, minor] = process.versions.node.split('.').map(Number);
const FLAGS = [
  '--test-reporter=spec',
  ...(major > 21 || (major === 20 && minor > 13) ? ['--test-force-exit'] : []),
];

/** Files at a time. They mostly wait. Each has a server and a browser, which need 300 MB. */
const PARALLEL = 4;

/** The slowest files start first. Otherwise they would run alone at the end. */
const LONGEST = ['playground', 'page', 'feeds', 'examples', 'native', 'browser'].map(
  (name) => `${name}.test.mjs`,
);
const begin = (file) => (LONGEST.includes(file) ? LONGEST.indexOf(file) : LONGEST.length);

/**
 * The running processes. A signal to this process must end them too: they have their own groups.
 */
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
  Array.from({ length: PARALLEL }, async () => {
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

/** Runs a file. Resolves to its output, and to the problem if there was one. */
function run(file) {
  return new Promise((resolve) => {
    // In its own process group, so that the processes that it started end with it.
    const child = spawn(process.execPath, [...FLAGS, file], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    const kill = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // The process has ended already.
      }
    };
    running.add(kill);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      // After SIGTERM, playwright ends its browser. A browser without its pipe ends by itself.
      kill('SIGTERM');
      setTimeout(() => kill('SIGKILL'), 5_000).unref();
    }, LIMIT);
    child.on('error', (error) => resolve({ problem: error.message, output }));
    // Processes that it left behind would keep its output open.
    child.on('exit', () => kill('SIGKILL'));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(kill);
      const problem = late
        ? `not finished within ${LIMIT / 1000} s`
        : code === 0
          ? ''
          : `exit ${code ?? signal}`;
      resolve({ problem, output });
    });
  });
}
