// Helpers of the views.

/** Makes an element with children. Properties `on…` are listeners, all others are attributes. */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'style')
      for (const [name, v] of Object.entries(value)) element.style.setProperty(name, v);
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

/** Sets a text if it is different. An equal text costs nothing, and a selection in it stays. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  return n < 1e6 ? `${(n / 1000).toFixed(n < 1e4 ? 2 : 1)} kB` : `${(n / 1e6).toFixed(2)} MB`;
}

export function millis(ms) {
  if (ms === null) return '–';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 1e4 ? 2 : 1)} s`;
}

export const whole = (n) => n.toLocaleString('en');

/** The colours of the style sheet in the present theme, in a form that a canvas accepts. */
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
