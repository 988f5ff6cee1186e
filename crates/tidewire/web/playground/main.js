// The playground: several lanes read one channel, and their costs are compared. Begin here, then
// read lane.js, one of the clients, and wire.js.
import { el, Palette, put } from './dom.js';
import { Journal } from './journal.js';
import { Lane } from './lane.js';
import { LaneView } from './lane-view.js';
import { LogView } from './log-view.js';
import { PublishBox } from './publish-box.js';
import { Publisher } from './publisher.js';
import { channelOfPage, NAME, Settings, theme } from './settings.js';
import { Summary } from './summary.js';
import { TECHNIQUES } from './techniques.js';

const $ = (id) => document.getElementById(id);
const REFRESH = 100; // ms between two updates of the numbers
const OBSERVE = 1000; // ms between two requests for the oldest message that the log keeps

const channel = channelOfPage();
const settings = new Settings();
const journal = new Journal(channel);
const lanes = TECHNIQUES.map((technique) => new Lane(technique, journal, settings));
const publisher = new Publisher(journal, settings);
const palette = new Palette();
const announce = (text) => put($('announcements'), text);

const views = new Map(lanes.map((lane) => [lane, new LaneView(lane, palette)]));
const log = new LogView($('log'), journal, lanes);
const summary = new Summary($('summary-table'), lanes);
const websocket = lanes.find((lane) => lane.technique.id === 'websocket');
const box = new PublishBox($('publish'), publisher, websocket, announce);

theme($('theme'), () => palette.clear());
nameChannel();
await begin();
chooseLanes();

$('as-browser').addEventListener('change', (event) => (settings.asBrowser = event.target.checked));
$('zero').addEventListener('click', () => {
  for (const lane of lanes) lane.zero();
  announce('All counters are reset.');
});
addEventListener('pagehide', () => {
  for (const lane of lanes) lane.stop();
  publisher.close();
});
// A page that returns from the back-forward cache is loaded again.
addEventListener('pageshow', (event) => event.persisted && location.reload());

setInterval(refresh, REFRESH);
setInterval(() => !document.hidden && journal.head !== journal.observed && observe(), OBSERVE);
requestAnimationFrame(frame);

/** All lanes begin at the same position in the log, so that they read the same messages. */
async function begin() {
  for (;;) {
    try {
      return await journal.begin();
    } catch {
      announce('The server does not answer; trying again.');
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

function nameChannel() {
  $('channel').value = channel;
  $('channel-form').addEventListener('submit', (event) => {
    event.preventDefault();
    if (NAME.test($('channel').value)) location.hash = $('channel').value;
  });
  // The page belongs to one channel. For another channel it is loaded again.
  addEventListener('hashchange', () => location.reload());
  const url = `${location.origin}/c/${channel}`;
  put($('paste'), `curl -d 'hello' '${url}'\ncurl -N '${url}?feed=sse&since=earliest'`);
}

/** Makes a check box for each technique. Techniques from before CORS need the option --comet. */
function chooseLanes() {
  for (const lane of lanes) {
    const { id, name, first, comet } = lane.technique;
    const check = el('input', { type: 'checkbox', id: `on-${id}`, checked: first, disabled: comet });
    const title = comet ? 'needs a server that was started with --comet' : undefined;
    const label = el('label', { for: `on-${id}`, 'data-lane': id, class: 'chip', title }, check, name);
    check.addEventListener('change', () => turn(lane, check.checked));
    $('techniques').append(label);
    if (first) turn(lane, true);
  }
  // The first wire reports what the server allows.
  lanes[0].onFacts = ({ comet, retain_messages }) => {
    for (const lane of lanes) if (lane.technique.comet) $(`on-${lane.technique.id}`).disabled = !comet;
    const kept = retain_messages.toLocaleString('en');
    put(
      $('retention'),
      `This server keeps the newest ${kept} messages of a channel. The hatched part of the log is no ` +
        'longer kept. A lane that still needs a message from it gets a report of the gap.',
    );
  };
}

function turn(lane, on) {
  const { element } = views.get(lane);
  if (on) {
    const after = lanes
      .slice(lanes.indexOf(lane) + 1)
      .map((l) => views.get(l).element)
      .find((e) => e.isConnected);
    $('lanes').insertBefore(element, after ?? null);
    lane.start();
  } else {
    lane.stop();
    element.remove();
  }
}

function refresh() {
  if (document.hidden) return;
  for (const lane of lanes) if (lane.on) views.get(lane).update();
  log.update();
  summary.update();
  box.update();
}

function observe() {
  journal.observed = journal.head;
  journal.observe().catch(() => (journal.observed = null));
}

/** Draws the diagrams: smoothly, or twice a second for users who prefer reduced motion. */
let drawn = 0;
function frame(now) {
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (now - drawn >= (calm ? 500 : 30)) {
    drawn = now;
    for (const lane of lanes) if (lane.on) views.get(lane).draw(now);
  }
  requestAnimationFrame(frame);
}
