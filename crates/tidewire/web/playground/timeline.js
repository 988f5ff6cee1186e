// The sequence diagram of a lane: the client above, the server below, time from left to right.
//
//   client ──┬──────▲──────────●──────    ┬ request   ▲ answer   ● message, with a line from the
//            │      ┊         ╱           time it was published: its slope shows the latency
//   server ──▼──────┴────────∙────────    thick: a request or a stream is held open

/** Room for the names of the lines, and above and below them. */
const LEFT = 42;
const TOP = 14;
const BOTTOM = 20;

/** How many seconds the diagram shows. */
export const span = (width) => (width < 500 ? 8 : 15);

export function draw(canvas, lane, now, colour, accent) {
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const c = canvas.getContext('2d');
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
  const scale = width / (span(width) * 1000);
  const x = (t) => width - 10 - (now - t) * scale;
  const from = now - span(width) * 1000;
  const [client, server] = [TOP, height - BOTTOM];
  const pen = { c, x, client, server, colour, accent, width };

  c.save();
  c.beginPath();
  c.rect(LEFT, 0, width - LEFT, height);
  c.clip();
  grid(pen, now, from);
  for (const held of lane.spans.items) if ((held.to ?? now) >= from) hold(pen, held, now, from);
  line(c, 0, client, width, client, colour.get('line-strong'), 1);
  line(c, 0, server, width, server, colour.get('line-strong'), 1);
  const marks = lane.timeline.items;
  let first = marks.length;
  while (first > 0 && marks[first - 1].t >= from) first--;
  const shown = marks.slice(first);
  for (const mark of shown) if (mark.kind === 'message') flight(pen, mark);
  const last = {};
  // Rare marks are drawn on top.
  for (const mark of [...shown.filter((m) => !RARE.has(m.kind)), ...shown.filter((m) => RARE.has(m.kind))]) {
    // Two marks of a kind on one pixel are drawn once.
    const at = Math.round(x(mark.t));
    if (last[mark.kind] === at && mark.kind !== 'gap') continue;
    last[mark.kind] = at;
    MARKS[mark.kind]?.(pen, at, mark);
  }
  c.restore();
}

function grid({ c, x, colour, server }, now, from) {
  c.font = '10px system-ui, sans-serif';
  c.textAlign = 'center';
  for (let t = Math.ceil(from / 1000) * 1000; t < now; t += 1000) {
    line(c, x(t), TOP - 6, x(t), server + 4, colour.get('line'), 1);
    const ago = Math.round((now - t) / 1000);
    if (ago && ago % 5 === 0) {
      c.fillStyle = colour.get('faint');
      c.fillText(`${ago} s ago`, x(t), server + 16);
    }
  }
}

function hold({ c, x, server, accent }, { kind, from: begin, to }, now, from) {
  const [a, b] = [x(Math.max(begin, from)), x(to ?? now)];
  c.fillStyle = accent;
  c.globalAlpha = kind === 'held' ? 0.3 : 0.2;
  c.fillRect(a, server - 4, Math.max(b - a - (to ? 1 : 0), 1), 8);
  c.globalAlpha = 1;
}

/** The line of a message, from its publication at the server to its arrival at the client. */
function flight({ c, x, client, server, accent, colour }, { t, published }) {
  if (published === null) return;
  c.globalAlpha = 0.55;
  line(c, x(published), server, x(t), client, accent, 1.25);
  c.globalAlpha = 1;
  dot(c, x(published), server, 2, colour.get('ink'));
}

const RARE = new Set(['gap', 'cut', 'end']);

const MARKS = {
  request({ c, client, server, accent }, at) {
    line(c, at, client, at, server, accent, 1.5);
    head(c, at, server, 1, accent);
  },
  up(pen, at) {
    MARKS.request(pen, at);
  },
  answer({ c, client, server, accent }, at) {
    line(c, at + 3, server, at + 3, client, accent, 1.5);
    head(c, at + 3, client, -1, accent);
  },
  empty({ c, client, server, colour }, at) {
    const grey = colour.get('faint');
    c.setLineDash([3, 3]);
    line(c, at + 3, server, at + 3, client + 4, grey, 1.25);
    c.setLineDash([]);
    ring(c, at + 3, client, 3.5, grey, colour.get('card'));
  },
  message({ c, client, accent }, at) {
    dot(c, at, client, 4, accent);
  },
  read({ c, client, accent }, at) {
    line(c, at, client - 8, at, client - 3, accent, 1);
  },
  beat({ c, server, colour }, at) {
    line(c, at, server - 5, at, server + 5, colour.get('faint'), 1.5);
  },
  cut({ c, client, server, colour }, at) {
    const red = colour.get('bad');
    const middle = (client + server) / 2;
    line(c, at, client, at, server, red, 1.5);
    line(c, at - 5, middle - 5, at + 5, middle + 5, red, 2.5);
    line(c, at - 5, middle + 5, at + 5, middle - 5, red, 2.5);
  },
  end({ c, client, server, colour }, at) {
    const ink = colour.get('ink');
    line(c, at, client - 7, at, server + 4, ink, 1.5);
    line(c, at + 4, client - 7, at + 4, server + 4, ink, 3);
  },
  gap({ c, client, colour }, at, { missed }) {
    c.fillStyle = colour.get('warn');
    c.beginPath();
    c.moveTo(at, client - 7);
    c.lineTo(at + 7, client + 5);
    c.lineTo(at - 7, client + 5);
    c.fill();
    c.font = '600 11px system-ui, sans-serif';
    c.textAlign = at > 90 ? 'right' : 'left';
    c.fillText(missed ? `gap: ${missed} lost` : 'reset', at + (at > 90 ? -10 : 10), client - 5);
  },
};

function line(c, x1, y1, x2, y2, style, width) {
  c.strokeStyle = style;
  c.lineWidth = width;
  c.beginPath();
  c.moveTo(x1, y1);
  c.lineTo(x2, y2);
  c.stroke();
}

function head(c, x, y, direction, style) {
  c.fillStyle = style;
  c.beginPath();
  c.moveTo(x, y);
  c.lineTo(x - 3.5, y - 6 * direction);
  c.lineTo(x + 3.5, y - 6 * direction);
  c.fill();
}

function dot(c, x, y, radius, style) {
  c.fillStyle = style;
  c.beginPath();
  c.arc(x, y, radius, 0, 7);
  c.fill();
}

function ring(c, x, y, radius, style, inside) {
  dot(c, x, y, radius, inside);
  c.strokeStyle = style;
  c.lineWidth = 1.5;
  c.stroke();
}
