// The gateway's settings as every process sees them: plain values, checked and complete.
// Responsible for the types and what follows from them. Must not know: files, the environment, processes: reading is
// in config/read.ts, which only the primary needs, so that a worker does not load the schemas.

import type { Settings } from "./config/schema.js";
import { DOWNSTREAM_LIMITS, type EngineLimits, UPSTREAM_LIMITS } from "./http2/limits.js";

export type { Settings } from "./config/schema.js";

type Side = "downstream" | "upstream";

/** The engine's bounds for one side; made once per configuration, shared by all connections of the side. */
export function engineLimits(settings: Settings, side: Side): EngineLimits {
  const chosen = settings.engine[side];
  return {
    ...(side === "downstream" ? DOWNSTREAM_LIMITS : UPSTREAM_LIMITS),
    maxConcurrentStreams: chosen.max_concurrent_streams,
    maxFrameSize: chosen.max_frame_size,
    streamWindow: chosen.stream_window,
    maxStreamWindow: chosen.max_stream_window,
    connectionWindow: chosen.connection_window,
    maxHeaderListSize: chosen.max_header_list_size,
    maxFields: chosen.max_fields,
    headerTableSize: chosen.header_table_size,
    encoderTableSize: chosen.encoder_table_size,
    maxWaitingOutput: chosen.max_waiting_output,
    maxContinuations: chosen.max_continuations,
    controlBudget: chosen.control_budget,
    resetBudget: chosen.reset_budget,
    tinyDataBudget: chosen.tiny_data_budget,
  };
}
