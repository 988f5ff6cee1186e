// npm ws as a client: sends messages of many shapes to an echo server, with each setting of
// permessage-deflate, and compares the echoes.
const WebSocket = require(process.argv[2] + '/node_modules/ws');
const url = process.argv[3];

const settings = [
  {},
  { serverNoContextTakeover: true },
  { clientNoContextTakeover: true, serverNoContextTakeover: true },
  { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
  { serverMaxWindowBits: 12, clientMaxWindowBits: 10, zlibDeflateOptions: { level: 9 } },
];
const lengths = [0, 1, 20, 125, 126, 1000, 1025, 20000, 65535, 65536, 300000];

function messages() {
  const all = [];
  for (const length of lengths) {
    all.push('tide '.repeat(length / 5 + 1).slice(0, length));
    const noise = Buffer.alloc(length);
    for (let i = 0; i < length; i++) noise[i] = (i * i * 31 + (i >> 3) * 17) & 255;
    all.push(noise);
    all.push('κόσμε 🌊 '.repeat(length / 9));
  }
  return all;
}

async function run(perMessageDeflate) {
  const settings = { threshold: 0, ...perMessageDeflate };
  const socket = new WebSocket(url, { perMessageDeflate: settings, maxPayload: 1 << 26 });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  if (!socket.extensions.includes('permessage-deflate')) throw new Error('deflate was not negotiated');
  const back = [];
  const expected = messages();
  const done = new Promise((resolve, reject) => {
    socket.on('message', (data, isBinary) => {
      back.push(isBinary ? data : data.toString());
      if (back.length === expected.length) resolve();
    });
    socket.on('close', () => reject(new Error('closed early')));
  });
  for (const message of expected) socket.send(message);
  await done;
  expected.forEach((message, i) => {
    const same = typeof message === 'string' ? message === back[i] : message.equals(back[i]);
    if (!same) throw new Error(`message ${i} differs with ${JSON.stringify(perMessageDeflate)}`);
  });
  socket.removeAllListeners('close');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.close(1000, 'done');
  if ((await closed) !== 1000) throw new Error('not closed with 1000');
}

(async () => {
  for (const setting of settings) await run(setting);
  console.log('ok');
})().catch((error) => {
  console.log(error.stack);
  process.exit(1);
});
