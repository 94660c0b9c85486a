// Names inside `storage.path`. Must not know: what is in them, the library that writes it. Runs: never; they are said once.

/** Keys, lists and the log of changes. */
export const DURABLE = "durable";
/** Counters; the name goes on with the boot they are of. */
export const VOLATILE = "volatile";
