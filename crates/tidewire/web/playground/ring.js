// Lists with a limited size: a page that runs for a week must not use more and more memory.

/** Keeps the newest `max` items. */
export class Ring {
  constructor(max) {
    this.max = max;
    this.items = [];
    /** How many items were ever added. */
    this.count = 0;
  }

  push(item) {
    this.count++;
    this.items.push(item);
    // Removes half of the items at once: the cost of a removal grows with the length of the array.
    if (this.items.length >= 2 * this.max) this.items.splice(0, this.items.length - this.max);
    return item;
  }

  /** Returns the newest `n` items, oldest first. */
  last(n = this.max) {
    return this.items.slice(-Math.min(n, this.max));
  }

  clear() {
    this.items = [];
    this.count = 0;
  }
}

/** Keeps the newest `max` pairs of a map. */
export class Memory extends Map {
  constructor(max) {
    super();
    this.max = max;
  }

  set(key, value) {
    super.set(key, value);
    if (this.size > this.max) this.delete(this.keys().next().value);
    return this;
  }
}

/** The median of the last measurements. */
export class Median {
  constructor() {
    this.ring = new Ring(256);
    this.last = null;
  }

  add(value) {
    this.ring.push(value);
    this.last = value;
  }

  get value() {
    const sorted = this.ring.last().sort((a, b) => a - b);
    return sorted.length ? sorted[sorted.length >> 1] : null;
  }
}
