/**
 * Where one is after a message that ends at `next`: the later position in each channel, since two views of several channels may each be ahead in
 * one. It is `mine` if that message was delivered already.
 *
 * A cursor is `epoch-number`, joined by points where there are several channels.
 */
export function further(mine: string, next: string): string {
  const before = mine.split('.');
  const later = (text: string, i: number) => {
    const [epoch, number] = text.split('-');
    const [oldEpoch, oldNumber] = (before[i] ?? '').split('-');
    return epoch === oldEpoch && +oldNumber! > +number! ? before[i] : text;
  };
  return next.split('.').map(later).join('.');
}
