// A pool thread that does what the password says: ends itself, never ends, throws, or waits for a shared flag.

export interface Wish {
  readonly kind: string;
  readonly with: { readonly password: string; readonly hash?: string };
}

export default function work({ with: { password } }: Wish): { value: unknown; took: number } {
  if (password === "die") process.exit(3);
  if (password === "throw") throw new RangeError("asked for");
  if (password === "hang") for (;;);
  return { value: password, took: 1 };
}
