/**
 * One decoded field section and what `header-rules` found in it: a scratch object used again for each block.
 *
 * Must not know: how fields are decoded. References beyond `length` stay until overwritten; whoever keeps a list for
 * longer copies it.
 */
import type { Field } from "./field-record.js";

export class FieldList {
  readonly fields: Field[] = [];
  length = 0;
  /** Sum of Field.size (RFC 9113 10.5.1), also of the fields left out because the list was over a limit. */
  size = 0;
  /** The list was over a limit: `fields` holds only its beginning. */
  overflow = false;

  /** Set by the checks of header-rules, each to the field of that name or null. */
  method: Field | null = null;
  scheme: Field | null = null;
  authority: Field | null = null;
  path: Field | null = null;
  status: Field | null = null;
  host: Field | null = null;
  contentType: Field | null = null;
  te: Field | null = null;
  expect: Field | null = null;
  grpcTimeout: Field | null = null;
  grpcStatus: Field | null = null;
  grpcMessage: Field | null = null;
  /** -1 where the field is absent. */
  contentLength = -1;
  /** The number in :status, 0 where it is absent. */
  statusCode = 0;
  /** Of the fields checked, those that are not interned: such a list cannot be recognised by identities. */
  unstable = 0;

  reset(): void {
    this.length = 0;
    this.size = 0;
    this.overflow = false;
  }

  push(field: Field): void {
    this.fields[this.length++] = field;
    this.size += field.size;
  }

  /** Forgets what an earlier check found. */
  clearFindings(): void {
    this.method = null;
    this.scheme = null;
    this.authority = null;
    this.path = null;
    this.status = null;
    this.host = null;
    this.contentType = null;
    this.te = null;
    this.expect = null;
    this.grpcTimeout = null;
    this.grpcStatus = null;
    this.grpcMessage = null;
    this.contentLength = -1;
    this.statusCode = 0;
    this.unstable = 0;
  }
}
