/** Names of a stream's events: `STREAM.NUMBER`, so that `Last-Event-ID` alone says where a client was. */
import { invalidRequest } from "../failures.ts";

const longestShownCodeUnits = 100;

export const eventId = (stream: string, number: number): string => `${stream}.${number}`;

/**
 * The number of the last event that a client has by its `Last-Event-ID`; 0 without one.
 * @param reach is the highest that it may have been sent.
 * @throws ServiceError where the header is no id of an event that this stream has sent.
 */
export function lastNumber(stream: string, header: string | undefined, reach: number): number {
  if (header === undefined || header === "") return 0;
  const digits = header.startsWith(`${stream}.`) ? header.slice(stream.length + 1) : "";
  const number = /^[1-9]\d*$/.test(digits) ? Number(digits) : Number.POSITIVE_INFINITY;
  if (number <= reach) return number;
  const rule = reach === 0 ? "it has sent none so far" : `'${eventId(stream, 1)}' to '${eventId(stream, reach)}'`;
  const shown = header.length > longestShownCodeUnits ? `${header.slice(0, longestShownCodeUnits)}…` : header;
  throw invalidRequest(
    `'Last-Event-ID': must be the id of an event that this stream has sent (${rule}); it is ${JSON.stringify(shown.toWellFormed())}.`,
    "Last-Event-ID",
  );
}
