// The playground: lanes over one channel, and what they cost. Begin here; then lane.js, one of the clients, and wire.js.
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
const REFRESH = 100; // ms between two looks at the numbers
const OBSERVE = 1000; // ms between two questions what the log still keeps

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
const box = new PublishBox($('publish'), publisher, lanes.find((lane) => lane.technique.id === 'websocket'), announce);

theme($('theme'), () => palette.clear());
nameChannel();
await begin();
chooseLanes();

$('as-browser').addEventListener('change', (event) => (settings.asBrowser = event.target.checked));
$('zero').addEventListener('click', () => {
  for (const lane of lanes) lane.zero();
  announce('All counters are at zero.');
});
addEventListener('pagehide', () => {
  for (const lane of lanes) lane.stop();
  publisher.close();
});
// A page that comes back out of the browser's cache begins anew.
addEventListener('pageshow', (event) => event.persisted && location.reload());

setInterval(refresh, REFRESH);
setInterval(() => !document.hidden && journal.head !== journal.observed && observe(), OBSERVE);
requestAnimationFrame(frame);

/** All lanes begin at one place in the log, so that they carry the same messages. */
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
  // Everything belongs to one channel; another one is another visit.
  addEventListener('hashchange', () => location.reload());
  const url = `${location.origin}/c/${channel}`;
  put($('paste'), `curl -d 'hello' '${url}'\ncurl -N '${url}?feed=sse&since=earliest'`);
}

/** A check box for each technique; those of before CORS are there only where the server allows them. */
function chooseLanes() {
  for (const lane of lanes) {
    const { id, name, first, comet } = lane.technique;
    const check = el('input', { type: 'checkbox', id: `on-${id}`, checked: first, disabled: comet });
    const label = el('label', { for: `on-${id}`, 'data-lane': id, class: 'chip', title: comet ? 'only on a server that runs with --comet' : undefined }, check, name);
    check.addEventListener('change', () => turn(lane, check.checked));
    $('techniques').append(label);
    if (first) turn(lane, true);
  }
  // The first wire knows what the server allows.
  lanes[0].onFacts = ({ comet, retain_messages }) => {
    for (const lane of lanes) if (lane.technique.comet) $(`on-${lane.technique.id}`).disabled = !comet;
    put($('retention'), `This server keeps ${retain_messages.toLocaleString('en')} messages of a channel; what falls out is hatched, and a lane that comes too late is told so.`);
  };
}

function turn(lane, on) {
  const { element } = views.get(lane);
  if (on) {
    const after = lanes.slice(lanes.indexOf(lane) + 1).map((l) => views.get(l).element).find((e) => e.isConnected);
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

/** The diagrams glide; for who wants less motion they are drawn anew with the numbers, in steps. */
let drawn = 0;
function frame(now) {
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (now - drawn >= (calm ? 500 : 30)) {
    drawn = now;
    for (const lane of lanes) if (lane.on) views.get(lane).draw(now);
  }
  requestAnimationFrame(frame);
}
