/**
 * The keys of the bench by number: the client sends them, the stage writes them into the store. The form is Tyk's, an organisation, a name
 * and a hash function as base64 of JSON. Must not know how a key is stored. Runs once per call with a key.
 */
export const ORG = "bench";

export const keyToken = (index: number): string =>
  Buffer.from(`{"org":"${ORG}","id":"key-${index}","h":"sha256"}`, "latin1").toString("base64");

/** Spreads calls over the keys without a memory of whose turn it is: neighbours in time are strangers, all are met alike. */
export const keyOfCall = (serial: number, keys: number): number => (Math.imul(serial, 0x9e3779b1) >>> 0) % keys;
