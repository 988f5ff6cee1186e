// The few helpers that the views need.

/** An element with properties (`class`, `on…`, `data-…`, `aria-…` and others as attributes) and children. */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'style') for (const [name, v] of Object.entries(value)) element.style.setProperty(name, v);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Sets a text only where it is another one: what does not change costs nothing, and selections stay. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const bytes = (n) => (n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1000).toFixed(n < 1e4 ? 2 : 1)} kB` : `${(n / 1e6).toFixed(2)} MB`);

export const millis = (ms) => (ms === null ? '–' : ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 1e4 ? 2 : 1)} s`);

export const whole = (n) => n.toLocaleString('en');

/** A colour of the style sheet as a canvas takes it, for the theme that is on. */
export class Palette {
  constructor() {
    this.probe = el('i', { hidden: true });
    document.body.append(this.probe);
    this.clear();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.clear());
  }

  clear() {
    this.known = new Map();
  }

  get(name) {
    if (!this.known.has(name)) {
      this.probe.style.color = `var(--${name})`;
      this.known.set(name, getComputedStyle(this.probe).color);
    }
    return this.known.get(name);
  }
}

export const utf8Length = (text) => new TextEncoder().encode(text).length;
