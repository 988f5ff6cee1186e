/** Whether `a` is a position at or before `b` in every channel: then what ends at `a` was delivered already. */
export function covers(b: string, a: string): boolean {
  const [one, other] = [parts(a), parts(b)];
  return one.length === other.length && one.every(([epoch, seq], i) => epoch === other[i]![0] && seq <= other[i]![1]);
}

/** `epoch-number`, joined by dots where there are several channels. */
function parts(cursor: string): [string, number][] {
  return cursor.split('.').map((text) => {
    const at = text.lastIndexOf('-');
    return [text.slice(0, at), at < 0 ? NaN : Number(text.slice(at + 1))];
  });
}
