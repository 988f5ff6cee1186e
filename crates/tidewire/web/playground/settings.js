// The choices for the whole page: the channel, the theme, and whether requests have the fields that
// a browser adds.

/** The channel is in the address, so that users can share it. The default is a random name. */
export function channelOfPage() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (NAME.test(wanted)) return wanted;
  const random = [...crypto.getRandomValues(new Uint8Array(4))].map((b) => (b % 36).toString(36));
  const fresh = `play-${random.join('')}`;
  history.replaceState(null, '', `#${fresh}`);
  return fresh;
}

/** The pattern of a channel's name: segments between `/`, of which none is `.` or `..`. */
export const NAME = /^(?=.{1,128}$)(?!\.{1,2}(?:\/|$))[\w.~:@-]+(?:\/(?!\.{1,2}(?:\/|$))[\w.~:@-]+)*$/;

/**
 * The fields that a browser adds to each request of a page, if they are switched on.
 * `Accept-Encoding` is not among them, because lanes cannot decompress.
 */
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

/** The choice between dark and light; `auto` follows the system. */
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
    return null; // storage is forbidden, so the choice lasts only as long as the page
  }
}

function write(value) {
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // as above
  }
}
