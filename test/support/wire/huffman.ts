// Responsible for: the Huffman code of HPACK, in the slowest and most obvious way: the twin against which nothing is tuned.
// Must not know: the engine's own tables. Governed by: RFC 7541, 5.2 and appendix B. How often: tests only.

/** Code length of each symbol; 256 is EOS. The code is canonical (shorter first, then by symbol), so lengths are enough. */
// biome-ignore format: 32 symbols a line is how one compares it with the appendix
const LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

export const EOS = 256;

function canonicalCodes(): string[] {
  const order = LENGTHS.map((length, symbol) => ({ length, symbol }));
  order.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  const codes: string[] = [];
  let next = 0;
  let length = order[0]!.length;
  for (const it of order) {
    next *= 2 ** (it.length - length);
    length = it.length;
    codes[it.symbol] = next.toString(2).padStart(length, "0");
    next++;
  }
  return codes;
}

const CODES = canonicalCodes();
const SYMBOLS = new Map(CODES.map((code, symbol) => [code, symbol]));

/** Codes of any symbols (also EOS), filled up with `fill`: by default the ones that RFC 7541 asks for. */
export function huffmanOf(symbols: number[], fill = "1"): Buffer {
  let bits = symbols.map((symbol) => CODES[symbol]).join("");
  while (bits.length % 8 !== 0) bits += fill;
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2)));
}

export const huffmanEncode = (text: string): Buffer => huffmanOf([...Buffer.from(text, "latin1")]);

export function huffmanDecode(bytes: Buffer): string {
  const out: number[] = [];
  let code = "";
  for (const bit of [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("")) {
    code += bit;
    const symbol = SYMBOLS.get(code);
    if (symbol === undefined) continue;
    if (symbol === EOS) throw new Error("EOS inside a Huffman string");
    out.push(symbol);
    code = "";
  }
  if (code.length > 7 || code.includes("0")) throw new Error(`bad Huffman padding ${code}`);
  return Buffer.from(out).toString("latin1");
}
