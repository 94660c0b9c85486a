/** stub */
import type { ResultLine } from "./results.js";
export const reportPage = (_lines: readonly ResultLine[]): string => "";
