// The life of a stream as a table: state × event → next state, or a fault (RFC 9113 section 5.1). No push, so the
// reserved states do not exist. "Ended" here means END_STREAM travelled; resets go straight to CLOSED.

export const State = { IDLE: 0, OPEN: 1, HALF_CLOSED_LOCAL: 2, HALF_CLOSED_REMOTE: 3, CLOSED: 4 } as const;

export const Event = {
  RECEIVE_HEADERS: 0,
  RECEIVE_END: 1,
  RECEIVE_DATA: 2,
  RECEIVE_RESET: 3,
  SEND_HEADERS: 4,
  SEND_END: 5,
  SEND_DATA: 6,
  SEND_RESET: 7,
} as const;

/** The event is not allowed in the state; the caller knows which fault that is. */
export const REFUSED = 255;

const X = REFUSED;
const { OPEN, HALF_CLOSED_LOCAL: HL, HALF_CLOSED_REMOTE: HR, CLOSED } = State;

// prettier-ignore
// biome-ignore format: a table is read in columns
const TABLE = Uint8Array.of(
  //            HEADERS  END     DATA   RESET   HEADERS END     DATA   RESET
  //            received                         sent
  /* IDLE   */  OPEN,    X,      X,     X,      OPEN,   X,      X,     CLOSED,
  /* OPEN   */  OPEN,    HR,     OPEN,  CLOSED, OPEN,   HL,     OPEN,  CLOSED,
  /* HL     */  HL,      CLOSED, HL,    CLOSED, X,      X,      X,     CLOSED,
  /* HR     */  X,       X,      X,     CLOSED, HR,     CLOSED, HR,    CLOSED,
  /* CLOSED */  X,       X,      X,     X,      X,      X,      X,     X,
);

export function nextState(state: number, event: number): number {
  return TABLE[(state << 3) | event]!;
}
