// How large a request of the control API may be, for the primary that reads it and for workers that relay it.
// Must not know: resources, who asks. Governed by: as large as a stored session may be. Runs: never; it is said once.

export const LARGEST_BODY = 1_024 * 1_024;
export const TOO_LARGE = "Request entity too large";
