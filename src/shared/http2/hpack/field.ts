/**
 * The door to interned fields: what the rest of the engine imports.
 */
export { FieldFlaw } from "./field-flaw.js";
export { FieldKind } from "./field-kind.js";
export { ENTRY_OVERHEAD, Field, FieldName, octetsOf } from "./field-record.js";
export { FieldStore, type FieldStoreLimits } from "./field-store.js";
