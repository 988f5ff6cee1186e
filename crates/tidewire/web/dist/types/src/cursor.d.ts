/** Whether `a` is a position at or before `b` in every channel: then what ends at `a` was delivered already. */
export declare function covers(b: string, a: string): boolean;
