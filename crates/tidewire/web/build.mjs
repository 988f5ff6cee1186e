// Builds dist/: an ES module, a script for a <script> tag (global `tidewire`), and the types.
// With --check it builds in another folder and compares: the server embeds the committed dist/, so
// dist/ must be what the present source builds to.
import { build } from 'esbuild';
import { minify } from 'terser';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const MAX_GZIP = 6144;

/**
 * Properties that only the files of the source use, so their names may be shortened. Names of the
 * platform, of options, and of the messages between tabs must not be here.
 */
const INTERNAL = new RegExp(
  '^(asking|audience|become|before|blame|catchUp|drop|failure|follow|head|interrupt|isOver|iterate|lead|' +
    'leaveAll|listeners|move|opened|queue|step|take|tell)$',
);

const check = process.argv.includes('--check');
const out = check ? mkdtempSync(join(tmpdir(), 'tidewire-dist-')) : 'dist';
rmSync(out, { recursive: true, force: true });
mkdirSync(out);
try {
  await script('src/index.ts', 'esm', 'tidewire.js');
  await script('src/script.ts', 'iife', 'tidewire.script.js');
  execFileSync('npx', ['tsc', '--emitDeclarationOnly', '--outDir', join(out, 'types')], { stdio: 'inherit' });
  if (check) compare();
} finally {
  if (check) rmSync(out, { recursive: true });
}

async function script(entry, format, file) {
  const bundle = {
    entryPoints: [entry],
    bundle: true,
    minify: true,
    target: 'es2022',
    legalComments: 'none',
  };
  const { outputFiles } = await build({ ...bundle, mangleProps: INTERNAL, format, write: false });
  const { code } = await minify(outputFiles[0].text, {
    module: format === 'esm',
    compress: { ecma: 2020, passes: 4, unsafe: true, unsafe_arrows: true },
    mangle: true,
  });
  writeFileSync(join(out, file), `${code}\n`);
  const size = gzipSync(readFileSync(join(out, file)), { level: 9 }).length;
  console.log(`${file}: ${size} bytes gzip`);
  if (size > MAX_GZIP) throw new Error(`${file} has ${size} bytes gzip; at most ${MAX_GZIP} are allowed`);
}

function compare() {
  const list = (folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = (folder) =>
    list(folder)
      .map(({ parentPath, path, name }) => join(parentPath ?? path, name).slice(folder.length + 1))
      .sort();
  const [built, committed] = [files(out), files('dist')];
  const differ = [...new Set([...built, ...committed])].filter(
    (file) =>
      !built.includes(file) ||
      !committed.includes(file) ||
      !readFileSync(join(out, file)).equals(readFileSync(join('dist', file))),
  );
  if (differ.length) {
    console.error(
      `dist/ is not what src/ builds to: ${differ.join(', ')}; ` +
        'run `npm run build` in crates/tidewire/web, check the difference and commit it',
    );
    process.exitCode = 1;
  }
}
