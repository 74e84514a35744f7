/** Names of a stream's events: `STREAM.NUMBER`, so that `Last-Event-ID` alone says where a client was. */
import { invalidRequest } from "../failures.ts";

const largestNumberDigits = 12;

export const eventId = (stream: string, number: number): string => `${stream}.${number}`;

/** The number that a client has come to. @throws ServiceError where the header is no id of this stream's. */
export function lastNumber(stream: string, header: string | undefined): number {
  if (header === undefined || header === "") return 0;
  const number = header.startsWith(`${stream}.`) ? header.slice(stream.length + 1) : "";
  if (/^\d+$/.test(number) && number.length <= largestNumberDigits) return Number(number);
  throw notOfThisStream();
}

const notOfThisStream = () => invalidRequest("'Last-Event-ID': must be the id of an event of this stream.", "Last-Event-ID");

/** @throws ServiceError where a stream that has ended never had this number. */
export function requireNumber(after: number, last: number | undefined): void {
  if (last !== undefined && after > last) throw notOfThisStream();
}
