/**
 * Names of streams: `PLACE SHARD - UUID`, such as `fra07-…`. The first part names the object that runs the stream: an object for each would
 * cost more than the answer, one for all would be far from most. The last part can't be guessed.
 */
const SHARDS = 16;
const PATTERN = /^([a-z]{2,8}[0-9]{2})-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** `colo` is the data centre that took the request, where the runtime tells it. */
export function newStreamId(colo: string | undefined): string {
  const place = /^[a-z]{2,8}$/i.test(colo ?? "") ? (colo ?? "").toLowerCase() : "edge";
  const shard = String((crypto.getRandomValues(new Uint8Array(1))[0] ?? 0) % SHARDS).padStart(2, "0");
  return `${place}${shard}-${crypto.randomUUID()}`;
}

/** The name of the object that runs a stream; undefined for what is no stream's name. */
export const streamObjectName = (stream: string): string | undefined => PATTERN.exec(stream)?.[1];
