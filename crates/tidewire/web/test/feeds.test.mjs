// The old Comet feeds, and media, in Chromium. Run with `cargo xtask browser`.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { deflateSync } from 'node:zlib';
import { keepPicture, launch, openPage } from './browser.mjs';
import { test, until, within } from './deadline.mjs';
import { startServer } from './server.mjs';

let server, browser, folder;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidewire-'));
  server = await startServer('--heartbeat', '1', '--comet', '--files', folder, '--retain-bytes', '33554432');
  browser = await launch('--autoplay-policy=no-user-gesture-required');
});

after(async () => {
  await browser?.close();
  server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/**
 * A page of the server's origin, or of another: `localhost` and `127.0.0.1` are different origins.
 */
function page(t, base = server.base) {
  return openPage(t, browser, `${base}/tidewire.js`);
}

async function post(channel, body, type = 'text/plain') {
  const answer = await fetch(`${server.base}/c/${channel}`, {
    method: 'POST',
    body,
    headers: { 'Content-Type': type },
  });
  assert.equal(answer.status, 201);
  return (await answer.json()).cursor;
}

const DIFFICULT = [
  'one',
  '</script><script>got.push("escaped")</script><!--',
  'two\nlines \u2028 & more',
  '--tidewire',
];

test('a forever frame calls the page for each message, and removes its scripts', async (t) => {
  const p = await page(t);
  await post('frame', DIFFICULT[0]);
  await p.evaluate(() => {
    globalThis.got = [];
    globalThis.app = { on: (object) => object.type === 'message' && got.push(object.data) };
    const frame = document.createElement('iframe');
    frame.hidden = true;
    frame.src = '/c/frame?feed=iframe&since=earliest&callback=app.on';
    document.body.append(frame);
  });
  await until('the first message, while the frame is loading', () => p.evaluate(() => got.length === 1));
  for (const text of DIFFICULT.slice(1)) await post('frame', text);
  await until('the others', () => p.evaluate((n) => got.length === n, DIFFICULT.length));
  assert.deepEqual(await p.evaluate(() => got), DIFFICULT);
  const scripts = await p.evaluate(() => document.querySelector('iframe').contentDocument.scripts.length);
  assert.ok(scripts <= 2, `${scripts} scripts in the frame`);
});

test('a page of another origin cannot frame it', async (t) => {
  const p = await page(t, server.base.replace('127.0.0.1', 'localhost'));
  await post('foreign', 'secret');
  const loaded = await p.evaluate(async (base) => {
    globalThis.tidewire = () => (globalThis.called = true);
    const frame = document.createElement('iframe');
    frame.src = `${base}/c/foreign?feed=iframe&since=earliest`;
    // The browser loads an error page instead.
    const loaded = new Promise((resolve) => (frame.onload = resolve));
    document.body.append(frame);
    await loaded;
    return globalThis.called === true;
  }, server.base);
  assert.equal(loaded, false);
});

test('a frame calls only functions that its page has defined', async (t) => {
  const p = await page(t);
  await post('press', 'object');
  await p.evaluate(() => {
    globalThis.pressed = [];
    document.body.innerHTML = '<button id="press">the only button</button>';
    const button = document.getElementById('press');
    button.onclick = () => pressed.push('button');
    globalThis.held = button;
    globalThis.scrollBy = () => pressed.push('scrollBy');
    globalThis.Site = class {
      inherited() {
        pressed.push('inherited');
      }
    };
    globalThis.site = new Site();
    globalThis.app = { on: () => pressed.push('app.on') };
  });
  // An element by its id, a method of an element, a function of every window, a method of a class:
  // in a frame, and in a popup.
  const names = ['press.click', 'held.click', 'scrollBy', 'site.inherited', 'missing'];
  for (const name of [...names, 'opener.document.body.firstElementChild.click', 'opener.focus']) {
    await p.evaluate(async (name) => {
      const address = `/c/press?feed=iframe&since=earliest&callback=${name}`;
      const frame = document.createElement('iframe');
      frame.src = address;
      document.body.append(frame);
      window.open(address, name);
    }, name);
  }
  // When this later frame has called its function, all earlier frames would have called theirs.
  await p.evaluate(() => {
    const frame = document.createElement('iframe');
    frame.src = '/c/press?feed=iframe&since=earliest&callback=app.on';
    document.body.append(frame);
  });
  await until('the last frame', () => p.evaluate(() => pressed.includes('app.on')));
  await until('every frame to have the message or to be refused', () =>
    p.evaluate((count) => {
      const shown = [...document.querySelectorAll('iframe')].filter((frame) => {
        const page = frame.contentDocument;
        if (page?.title !== 'tidewire') return page?.body?.textContent.includes('status');
        return [...page.scripts].at(-1).text.includes('"data":"object"');
      });
      return shown.length === count;
    }, names.length + 3),
  );
  assert.deepEqual(await p.evaluate(() => [...new Set(pressed)]), ['app.on']);
});

test('the URL of a frame cannot be opened as a page', async (t) => {
  const p = await page(t);
  const popup = p.context().waitForEvent('page');
  await p.evaluate(() => void window.open('/c/popup?feed=iframe&callback=on'));
  const opened = await popup;
  await until('the refusal', () => opened.evaluate(() => document.body?.textContent.includes('403')));
});

test('JSONP delivers messages to a page of any origin', async (t) => {
  const p = await page(t, server.base.replace('127.0.0.1', 'localhost'));
  await post('script', DIFFICULT[0]);
  await p.evaluate((base) => {
    globalThis.got = [];
    const poll = (since) => {
      const script = document.createElement('script');
      script.src = `${base}/c/script?feed=jsonp&callback=answer&wait=5&since=${since}`;
      document.body.append(script);
    };
    globalThis.answer = ({ messages, cursor }) => {
      got.push(...messages.map((message) => message.data));
      document.body.querySelector('script').remove();
      poll(cursor);
    };
    poll('earliest');
  }, server.base);
  await until('the first message', () => p.evaluate(() => got.length === 1));
  for (const text of DIFFICULT.slice(1)) await post('script', text);
  await until('the others', () => p.evaluate((n) => got.length === n, DIFFICULT.length));
  assert.deepEqual(await p.evaluate(() => got), DIFFICULT);
});

test('XHR streaming delivers each line at once', async (t) => {
  const p = await page(t);
  await p.evaluate(() => {
    globalThis.got = [];
    let seen = 0;
    const xhr = new XMLHttpRequest();
    xhr.open('GET', '/c/xhr?feed=xhr');
    xhr.onprogress = () => {
      const end = xhr.responseText.lastIndexOf('\n') + 1;
      for (const line of xhr.responseText.slice(seen, end).split('\n'))
        if (line.trim()) got.push(JSON.parse(line));
      seen = end;
    };
    xhr.send();
  });
  await until('the hello', () => p.evaluate(() => got.length === 1 && got[0].type === 'hello'));
  for (const text of DIFFICULT) {
    await post('xhr', text);
    await until('the message', () => p.evaluate((text) => got.at(-1).data === text, text));
  }
});

test('multipart/mixed can be read with fetch, and the newest part at once', async (t) => {
  const p = await page(t);
  await p.evaluate(async () => {
    globalThis.got = [];
    const response = await fetch('/c/parts', { headers: { Accept: 'multipart/mixed' } });
    const boundary = /boundary=(\S+)/.exec(response.headers.get('Content-Type'))[1];
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '\r\n';
    (async () => {
      for (; ; ) {
        const { value, done } = await reader.read();
        if (done) return;
        const parts = (text += value).split(`\r\n--${boundary}\r\n`);
        text = parts.pop();
        // A part without content is a heartbeat.
        for (const part of parts) {
          const content = part.slice(part.indexOf('\r\n\r\n') + 4);
          if (content.trim()) got.push(JSON.parse(content));
        }
      }
    })();
  });
  for (const text of DIFFICULT) {
    await post('parts', text);
    await until('the part', () => p.evaluate((text) => got.at(-1)?.data === text, text));
  }
});

/** A black PNG of n by n pixels. Its width shows which picture it is. */
function png(n) {
  const table = Array.from({ length: 256 }, (_, i) => {
    for (let k = 0; k < 8; k++) i = i & 1 ? 0xedb88320 ^ (i >>> 1) : i >>> 1;
    return i >>> 0;
  });
  const crc = (bytes) => ~bytes.reduce((crc, byte) => table[(crc ^ byte) & 255] ^ (crc >>> 8), ~0) >>> 0;
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(n);
  header.writeUInt32BE(n, 4);
  header[8] = 8;
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  const data = deflateSync(Buffer.alloc(n * (n + 1)));
  const chunks = [chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, ...chunks]);
}

/** Waits for `n` heartbeats of the server, on a separate stream. */
async function heartbeats(n) {
  let came = '';
  const count = async () => {
    const { body } = await fetch(`${server.base}/c/quiet?feed=stream`);
    for await (const bytes of body) {
      came += Buffer.from(bytes).toString();
      // A heartbeat is an empty line.
      if ((came.match(/(?<=\n)\n/g) ?? []).length >= n) return;
    }
  };
  await within(`${n} heartbeats`, count(), () => came);
}

test('an <img> shows the newest picture, despite heartbeats and payloads that cannot be parts', async (t) => {
  const p = await page(t);
  // Chromium shows a picture only when the head of the next part arrives. So it is published again.
  const picture = (n) =>
    until(`picture ${n}`, async () => {
      await post('cam', png(n), 'image/png');
      return p.evaluate((n) => img.naturalWidth === n, n);
    });
  await post('cam', png(1), 'image/png');
  await p.evaluate(() => {
    globalThis.img = new Image();
    img.src = '/c/cam?feed=replace';
    document.body.append(img);
  });
  await picture(2);
  await heartbeats(2);
  assert.equal(await p.evaluate(() => img.naturalWidth), 2);
  for (const odd of ['', '--tidewire\r\n', '']) await post('cam', odd);
  await picture(3);
  await keepPicture(p, 'the newest picture of three');
});

/**
 * Records a moving canvas as WebM, like a page with a camera: for some seconds, and longer until it
 * has `size` bytes. A busy machine records fewer bytes per second, and a player starts after a
 * number of bytes.
 */
async function record(p, seconds, size) {
  const bytes = await p.evaluate(
    async ({ seconds, size }) => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
      const context = canvas.getContext('2d');
      const draw = setInterval(() => {
        for (let i = 0; i < 40; i++) {
          context.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`;
          context.fillRect(Math.random() * 320, Math.random() * 240, 40, 40);
        }
      }, 40);
      const recorder = new MediaRecorder(canvas.captureStream(25), {
        mimeType: 'video/webm; codecs=vp8',
        videoBitsPerSecond: 4_000_000,
      });
      const parts = [];
      recorder.ondataavailable = ({ data }) => parts.push(data);
      recorder.start(100);
      const recorded = () => parts.reduce((sum, part) => sum + part.size, 0);
      for (let second = 0; second < seconds || recorded() < size; second++)
        await new Promise((resolve) => setTimeout(resolve, 1000));
      recorder.stop();
      await new Promise((resolve) => (recorder.onstop = resolve));
      clearInterval(draw);
      return Array.from(new Uint8Array(await new Blob(parts).arrayBuffer()));
    },
    { seconds, size },
  );
  return Buffer.from(bytes);
}

test('a video plays during its upload, and ends with the upload', async (t) => {
  const p = await page(t);
  const film = await record(p, 4, 600_000);
  const { port } = new URL(server.base);
  const upload = request({
    port,
    method: 'PUT',
    path: '/c/film',
    headers: { 'Content-Type': 'video/webm', 'Transfer-Encoding': 'chunked' },
  });
  const answered = new Promise((resolve, reject) => upload.on('response', resolve).on('error', reject));
  let sent = 0;
  const send = (end) => {
    for (; sent < end; sent += 16_384) upload.write(film.subarray(sent, sent + 16_384));
  };
  send(film.length / 2);
  // The player must come after the first piece: it waits only a limited time for the media type.
  const count = async () => (await (await fetch(`${server.base}/c/film?limit=1`)).json()).messages.length;
  await until('the first piece', async () => (await count()) === 1);
  await p.evaluate(() => {
    globalThis.video = Object.assign(document.createElement('video'), {
      muted: true,
      src: '/c/film?feed=raw',
    });
    video.onended = () => (globalThis.ended = true);
    video.onerror = () => (globalThis.failed = video.error.message);
    document.body.append(video);
    video.play().catch((error) => (globalThis.failed = `${error.message} ${video.error?.message}`));
  });
  // A player starts when it has enough frames. Half of a film from a busy machine may have too few.
  // Also, a silent upload would be aborted. So send more, but not the end.
  await until('the beginning to play', async () => {
    send(Math.min(sent + 1, film.length - 65_536));
    const [playing, failed] = await p.evaluate(() => [
      video.currentTime > 0 && video.videoWidth === 320,
      globalThis.failed,
    ]);
    assert.equal(failed, undefined);
    return playing;
  });
  assert.equal(await p.evaluate(() => globalThis.ended), undefined, 'the upload has not ended');
  const first = await p.evaluate(() => video.buffered.end(0));
  await keepPicture(p, 'a video that is still being uploaded');
  send(film.length);
  upload.end();
  assert.equal((await within('the end of the upload', answered)).statusCode, 201);
  await until('the end', () => p.evaluate(() => globalThis.ended === true));
  assert.equal(await p.evaluate(() => globalThis.failed), undefined);
  const played = await p.evaluate(() => video.currentTime);
  assert.ok(played > first, `played ${played} s, of which the beginning had ${first}`);
});

/** A tone as WAV. Two minutes are 23 MB: more than a player loads at once. */
function wav(seconds) {
  const rate = 48_000;
  const bytes = seconds * rate * 4;
  const out = Buffer.alloc(44 + bytes);
  out.write('RIFF');
  out.writeUInt32LE(36 + bytes, 4);
  out.write('WAVEfmt ', 8);
  for (const [at, size, value] of [
    [16, 4, 16],
    [20, 2, 1],
    [22, 2, 2],
    [24, 4, rate],
    [28, 4, rate * 4],
    [32, 2, 4],
    [34, 2, 16],
  ])
    out.writeUIntLE(value, at, size);
  out.write('data', 36);
  out.writeUInt32LE(bytes, 40);
  for (let at = 44; at < out.length; at += 4) out.writeInt16LE(Math.round(8000 * Math.sin(at / 50)), at);
  return out;
}

test('a <video> plays a file, and seeks with range requests', async (t) => {
  await writeFile(join(folder, 'tone.wav'), wav(120));
  const p = await page(t);
  const ranges = [];
  p.on('response', async (response) => {
    if (!response.url().endsWith('tone.wav')) return;
    const it = { status: response.status(), range: undefined };
    ranges.push(it);
    it.range = (await response.request().allHeaders()).range;
  });
  await p.evaluate(() => {
    globalThis.video = Object.assign(document.createElement('video'), {
      muted: true,
      src: '/files/tone.wav',
    });
    document.body.append(video);
    return video.play();
  });
  await until('it plays', () =>
    p.evaluate(() => video.currentTime > 0.1 && Math.round(video.duration) === 120),
  );
  await p.evaluate(() => (video.currentTime = 100));
  await until('it plays from there', () => p.evaluate(() => video.currentTime > 100.2 && !video.seeking));
  await until('the ranges', () => ranges.length >= 2 && ranges.every(({ range }) => range));
  assert.ok(
    ranges.every(({ status }) => status === 206),
    JSON.stringify(ranges),
  );
  assert.equal(ranges[0].range, 'bytes=0-');
  assert.ok(
    ranges.some(({ range }) => Number(/bytes=(\d+)/.exec(range)?.[1]) > 10_000_000),
    JSON.stringify(ranges),
  );
  const size = await p.evaluate(async () => {
    const blob = await (await fetch('/files/tone.wav', { headers: { Range: 'bytes=-100' } })).blob();
    return blob.size;
  });
  assert.equal(size, 100);
});
