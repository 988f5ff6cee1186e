// The npm package as it would be published: its files, its use, and the size of bundles.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { test } from './deadline.mjs';
import { startServer } from './server.mjs';

const web = dirname(dirname(fileURLToPath(import.meta.url)));
const root = join(web, '../../..');
const scratches = [];
let packed;

const scratch = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidewire-'));
  scratches.push(folder);
  return folder;
};
const npm = (cwd, ...args) =>
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** Makes a project with only the packed package, installed as from the registry. */
before(async () => {
  const folder = await scratch();
  [packed] = JSON.parse(npm(web, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder));
  await writeFile(join(folder, 'package.json'), '{"name":"page","private":true,"type":"module"}');
  npm(
    folder,
    'install',
    '--offline',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    join(folder, packed.filename),
  );
  packed.project = folder;
  packed.installed = join(folder, 'node_modules/tidewire');
});
after(() => Promise.all(scratches.map((folder) => rm(folder, { recursive: true, force: true }))));

test('the package has all necessary files and no others', async () => {
  const paths = packed.files.map(({ path }) => path);
  const dist = [
    'dist/tidewire.js',
    'dist/tidewire.script.js',
    'dist/types/index.d.ts',
    'dist/types/types.d.ts',
    'dist/types/subscription.d.ts',
  ];
  for (const path of [...dist, 'README.md', 'LICENSE-MIT', 'LICENSE-APACHE', 'package.json', 'src/index.ts'])
    assert.ok(paths.includes(path), path);
  for (const path of paths) {
    assert.match(path, /^(dist\/|src\/|README\.md$|LICENSE-|package\.json$)/);
    const text = await readFile(join(packed.installed, path), 'utf8');
    assert.ok(!text.includes(root), `${path} holds a path of this machine`);
    assert.doesNotMatch(text, /\/home\/|\/tmp\/|sourceMappingURL/, path);
  }
  for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) {
    assert.equal(
      await readFile(join(packed.installed, name), 'utf8'),
      await readFile(join(root, name), 'utf8'),
      'the licence is that of the repository',
    );
  }
  const manifest = JSON.parse(await readFile(join(packed.installed, 'package.json'), 'utf8'));
  assert.equal(manifest.private, undefined);
  assert.equal(manifest.dependencies, undefined, 'no dependencies');
  const readme = await readFile(join(packed.installed, 'README.md'), 'utf8');
  assert.doesNotMatch(readme, /\]\((?!https:|#)/, 'links of the page on npm must be absolute');
});

test('a project can import the package with its types', async () => {
  const { project } = packed;
  await writeFile(
    join(project, 'use.ts'),
    `
    import { fetching, publish, sse, subscribe, subscribeWith } from 'tidewire';
    import type { Deleted, Gap, Message, Options, Refused, Subscription, Transport } from 'tidewire';
    const parse = (text: string) => JSON.parse(text) as { a: number };
    const sub: Subscription<{ a: number }> = subscribe('/c/demo', { parse, since: 'earliest' });
    sub.on('message', (m) => m.cursor.length + m.time).on('gap', (gap: Gap) => gap.missed);
    sub.on('state', (s) => s === 'open').on('end', ({ channel, cursor }) => [channel?.length, cursor.length]);
    const name = (error: Deleted): string => error.channel;
    sub.on('error', ({ status, detail }) => [status, detail]);
    const mine: Transport = {
      name: 'mine',
      async run(link) { link.object({ type: 'hello', cursor: link.cursor }); },
    };
    const options: Options = {
      transports: ['sse', mine], headers: async () => ({ authorization: 'x' }), credentials: 'include',
      signal: new AbortController().signal, connectTimeout: 1, heartbeatTimeout: 1, pollInterval: 1,
      backoff: { max: 1 }, minUptime: 1, tryBetter: 1, shared: 'name', pauseWhenHidden: true,
      storage: sessionStorage && {
        get: () => sessionStorage.getItem('x'),
        set: (cursor) => sessionStorage.setItem('x', cursor),
      },
      shouldRetry: ({ status }, attempt) => status !== 404 && attempt < 5,
    };
    subscribe(async () => new URL('https://example.org/c/x'), options);
    subscribeWith('/c/x', { transports: [sse, fetching] });
    export async function all(): Promise<Message<{ a: number }>[]> {
      const all = [];
      for await (const message of sub) {
        all.push(message);
        if (!(message.data instanceof Uint8Array)) message.data.a;
      }
      return all;
    }
    const published = publish('/c/demo', 'x', { event: 'e', contentType: 't/t', key: 'k' });
    publish('/c/demo', '', { close: true, producer: { id: 'me', epoch: 1, seq: 0 } });
    published.then((cursor: string) => cursor, (error: Refused) => error.status);
    // @ts-expect-error no such transport
    subscribe('/c/demo', { transports: ['websockets'] });
    // @ts-expect-error no such event
    sub.on('messages', () => {});
    // @ts-expect-error the cursor is read
    sub.cursor = 'e-1';
  `,
  );
  await writeFile(
    join(project, 'run.mjs'),
    `
    import * as all from 'tidewire';
    import script from 'tidewire/package.json' with { type: 'json' };
    console.log(Object.keys(all).join(), script.name);
  `,
  );
  const tsc = join(web, 'node_modules/.bin/tsc');
  for (const resolution of ['bundler', 'nodenext']) {
    const module = resolution === 'bundler' ? 'esnext' : 'nodenext';
    const flags = [
      '--strict',
      '--noEmit',
      '--target',
      'es2022',
      '--lib',
      'es2022,dom,dom.iterable',
      '--module',
      module,
      '--moduleResolution',
      resolution,
    ];
    try {
      execFileSync(tsc, [...flags, '--types', '', 'use.ts'], { cwd: project, encoding: 'utf8' });
    } catch (error) {
      assert.fail(`${resolution}: ${error.stdout}`);
    }
  }
  const names = execFileSync(process.execPath, ['--no-warnings', 'run.mjs'], {
    cwd: project,
    encoding: 'utf8',
  });
  assert.equal(names, 'fetching,longpoll,polling,publish,sse,subscribe,subscribeWith,websocket tidewire\n');
});

test('a bundle has only the transports that it names', async () => {
  const marks = {
    websocket: 'WebSocket',
    sse: 'EventSource',
    fetching: 'TextDecoderStream',
    longpoll: 'longpoll',
  };
  const bundle = async (source) => {
    const { outputFiles } = await build({
      stdin: { contents: source, resolveDir: packed.project },
      bundle: true,
      minify: true,
      format: 'esm',
      write: false,
    });
    return outputFiles[0].text;
  };
  const whole = await bundle(`import { subscribe } from 'tidewire'; console.log(subscribe('/c/x'));`);
  for (const mark of Object.values(marks)) assert.ok(whole.includes(mark), `${mark} is in the whole bundle`);
  for (const one of [...Object.keys(marks), 'polling']) {
    const text = await bundle(
      `import { subscribeWith, ${one} } from 'tidewire';
       console.log(subscribeWith('/c/x', { transports: [${one}] }));`,
    );
    for (const [other, mark] of Object.entries(marks))
      assert.equal(text.includes(mark), other === one, `${mark} in the bundle of ${one}`);
    assert.ok(text.length < whole.length, one);
  }
});

test('the server serves both builds as committed', async (t) => {
  const server = await startServer();
  t.after(() => server.stop());
  for (const file of ['tidewire.js', 'tidewire.script.js']) {
    const answer = await fetch(`${server.base}/${file}`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /^text\/javascript/);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*', 'pages of any origin may load it');
    const committed = await readFile(join(web, 'dist', file), 'utf8');
    assert.ok((await answer.text()) === committed, `${file} differs from dist/; build the server again`);
  }
});
