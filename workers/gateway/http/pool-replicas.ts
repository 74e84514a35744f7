/**
 * `POST /v1/pool/replicas`: what a replica's node says to the pool. Not for clients: a node signs its messages and has no key, so that keys of the
 * API neither let it in nor keep it out. The bytes go to the pool as they came, since the signature is over them, and into no log.
 */
import { unsupportedMediaType } from "../failures.ts";
import type { GatewayContext } from "../environment.ts";
import { fromPool } from "../backend.ts";
import { nodeMessageBytes } from "../schema/limits.ts";
import { readAtMost } from "./bounded-body.ts";
import { mediaType, requireIdentity } from "./media-type.ts";

export async function tellPool(c: GatewayContext): Promise<Response> {
  const { headers, method, url } = c.req.raw;
  if (mediaType(headers) !== "application/json")
    throw unsupportedMediaType("The request body must be JSON, with 'Content-Type: application/json'.");
  requireIdentity(headers, "the JSON");
  const body = await readAtMost(c.req.raw, nodeMessageBytes);
  const said = (name: string) => headers.get(`x-spikingbrain-${name}`);
  const signed = { node: said("node"), timestamp: said("timestamp"), nonce: said("nonce"), signature: said("signature") };
  return c.json(await fromPool(c.env.POOL.tell({ method, path: new URL(url).pathname, ...signed, body })));
}
