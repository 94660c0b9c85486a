// A pool thread that does what the password says: ends itself, never ends, throws, or takes a while.

export interface Wish {
  readonly kind: string;
  readonly with: { readonly password: string; readonly hash?: string };
}

export default function work({ with: { password } }: Wish): { value: unknown; took: number } {
  if (password === "die") process.exit(3);
  if (password === "throw") throw new RangeError("asked for");
  if (password === "sleep") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  if (password === "hang") for (;;);
  return { value: password, took: 1 };
}
