/**
 * Who waits for an answer that has not begun, by reference: whoever has them wait can hear that they have gone. A call across Workers that nobody
 * waits for any longer runs on where an object has taken it.
 */
export interface Caller {
  /** Resolves once it has gone, and breaks with its connection, which is the same; otherwise neither. */
  left(): Promise<void>;
}
