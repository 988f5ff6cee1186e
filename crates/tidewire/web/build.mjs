// Builds dist/: an ES module, a script for a <script> tag (global `tidewire`), and the types.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';

const MAX_GZIP = 4096;
const common = { entryPoints: ['src/index.ts'], bundle: true, minify: true, target: 'es2022', legalComments: 'none' };
await build({ ...common, format: 'esm', outfile: 'dist/tidewire.js' });
await build({ ...common, format: 'iife', globalName: 'tidewire', outfile: 'dist/tidewire.script.js' });
execFileSync('npx', ['tsc', '--emitDeclarationOnly', '--outDir', 'dist/types'], { stdio: 'inherit' });
for (const file of ['dist/tidewire.js', 'dist/tidewire.script.js']) {
  const size = gzipSync(readFileSync(file), { level: 9 }).length;
  console.log(`${file}: ${size} bytes gzip`);
  if (size > MAX_GZIP) throw new Error(`${file} has ${size} bytes gzip, at most ${MAX_GZIP} are allowed`);
}
