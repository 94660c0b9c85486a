/** A process of its own that writes into the embedded store: argv = path, name, "endless"?. */

import { EmbeddedStore } from "../../src/shared/store/embedded.js";

const [path = "", name = "", endless] = process.argv.slice(2);
const store = new EmbeddedStore({ path });
await store.open();
for (let n = 0; n < 200 || endless !== undefined; n++) {
  await store.put(`writer-${name}-${n}`, new Uint8Array([n & 255]));
  await store.listAdd("shared", name);
  if (n === 20) process.send?.("under way");
}
await store.close();
process.disconnect?.();
