// The bounds of one connection: every number that a peer could push, with its default. Made once from the settings and
// shared by all connections of a side. README.md beside this file has the table with the outcome of each bound.

import { DEFAULT_FRAME_SIZE } from "./protocol.js";

export interface EngineLimits {
  /** Streams the peer may have open; one more is refused with REFUSED_STREAM. */
  readonly maxConcurrentStreams: number;
  /** SETTINGS_MAX_FRAME_SIZE we advertise, octets. */
  readonly maxFrameSize: number;
  /** SETTINGS_INITIAL_WINDOW_SIZE we advertise, octets. */
  readonly streamWindow: number;
  /** What a stream's window may grow to while its receiver keeps up, octets. */
  readonly maxStreamWindow: number;
  /** The connection's receive window, octets. */
  readonly connectionWindow: number;
  /** SETTINGS_MAX_HEADER_LIST_SIZE we advertise and enforce, octets as in RFC 9113 6.5.2. */
  readonly maxHeaderListSize: number;
  /** Fields in one header list. */
  readonly maxFields: number;
  /** SETTINGS_HEADER_TABLE_SIZE we advertise, octets. */
  readonly headerTableSize: number;
  /** Our own cap on the table we use towards the peer, octets. */
  readonly encoderTableSize: number;
  /** Output waiting for one socket above which DATA stays in its stream's queue, octets. */
  readonly maxWaitingOutput: number;
  /** CONTINUATION frames in one header block. */
  readonly maxContinuations: number;
  /** Points of control frames without progress a connection may run up (see flood-guard). */
  readonly controlBudget: number;
  /** Points of early resets. */
  readonly resetBudget: number;
  /** Points of empty or tiny DATA frames. */
  readonly tinyDataBudget: number;
}

export const DOWNSTREAM_LIMITS: EngineLimits = {
  maxConcurrentStreams: 1_000,
  maxFrameSize: DEFAULT_FRAME_SIZE,
  streamWindow: 65_536,
  maxStreamWindow: 1_048_576,
  connectionWindow: 16_777_216,
  maxHeaderListSize: 65_536,
  maxFields: 1_000,
  headerTableSize: 4_096,
  encoderTableSize: 4_096,
  maxWaitingOutput: 409_600,
  maxContinuations: 16,
  controlBudget: 5_000,
  resetBudget: 200,
  tinyDataBudget: 5_000,
};

export const UPSTREAM_LIMITS: EngineLimits = { ...DOWNSTREAM_LIMITS, headerTableSize: 0 };
