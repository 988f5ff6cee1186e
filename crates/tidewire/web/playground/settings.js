// What is chosen for the whole page: the channel, the theme, and whether requests carry what a browser would add.

/** The channel is in the address, so that it can be shared; a visit without one gets a fresh one. */
export function channelOfPage() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (NAME.test(wanted)) return wanted;
  const fresh = `play-${[...crypto.getRandomValues(new Uint8Array(4))].map((b) => (b % 36).toString(36)).join('')}`;
  history.replaceState(null, '', `#${fresh}`);
  return fresh;
}

/** A channel's name (docs/http-api.md). */
export const NAME = /^[A-Za-z0-9._~:@-]{1,128}$/;

/** Fields that a browser adds to each request of a page, on or off; but `Accept-Encoding`, since lanes read the bytes as they are. */
export class Settings {
  asBrowser = false;

  fields() {
    if (!this.asBrowser) return {};
    return {
      'User-Agent': navigator.userAgent,
      'Accept-Language': navigator.languages.join(','),
      Referer: `${location.origin}/`,
      'Sec-Fetch-Site': 'same-origin',
      'Sec-Fetch-Mode': 'cors',
      'Sec-Fetch-Dest': 'empty',
    };
  }
}

/** The switch between dark and light; `auto` is what the system says. */
export function theme(select, changed) {
  const stored = read();
  if (stored) select.value = stored;
  const apply = () => {
    document.documentElement.dataset.theme = select.value;
    changed();
  };
  select.addEventListener('change', () => {
    write(select.value);
    apply();
  });
  apply();
}

const KEY = 'tidewire-theme';

function read() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is forbidden: the choice lasts as long as the page
  }
}

function write(value) {
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // as above
  }
}
