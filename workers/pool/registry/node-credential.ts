/** Who a node's message is from: it signs each with a secret that only it and the pool have. `test/fixtures/node-credential.json` holds an example. */
import type { NodeMessage } from "../../contracts/pool.ts";
import { fromBase64 } from "../../encoding/base64.ts";
import { fromHex, toHex } from "../../encoding/hex.ts";
import { list, misconfigured, rememberedSettings, type Variables } from "../../settings.ts";
import { headerInvalid, messageTooLate, messageTooLarge, signatureWrong } from "./failures.ts";

/** Seconds that a message's time may be away from this clock, either way; its nonce is remembered as long as that can hold. */
export const windowSeconds = 60;
export const bodyLimitBytes = 65_536;

const messageDomain = "spikingbrain node 1\n";
const keyDomain = "spikingbrain replica key 1\n";
const hmac = { name: "HMAC", hash: "SHA-256" } as const;

/** By the node's name; each secret has 32 bytes. */
export type NodeSecrets = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

/** A message that its node has signed, and that was sent within the window. Whether it came before is not known yet. */
export interface SignedMessage {
  readonly node: string;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly nonce: string;
  readonly body: Uint8Array;
}

/** `POOL_NODES`; none where it is unset. @throws ServiceError `configuration_invalid`, which tells no secret. */
export const nodeSecrets = rememberedSettings(["POOL_NODES"], (variables: Variables<"POOL_NODES">): NodeSecrets => {
  const parts = list(variables, "POOL_NODES", {
    each: "nodes, each NAME:BASE64 of 32 bytes, the name of at most 64 letters, digits and . _ -",
    pattern: /^[A-Za-z0-9][\w.-]{0,63}:[A-Za-z0-9+/]{43}=$/,
    secret: true,
  });
  const secrets = parts.map((part) => {
    const colon = part.indexOf(":");
    return [part.slice(0, colon), fromBase64(part.slice(colon + 1))] as const;
  });
  const byName = new Map(secrets);
  if (byName.size === secrets.length) return byName;
  throw misconfigured("POOL_NODES", "must have each node's name once");
});

/**
 * Checks the signature first, so that a stranger learns nothing of names and clocks, and in the same time whether or not there is such a node.
 * @throws ServiceError that says what is wrong, and nothing of the body.
 */
export async function signedMessage(message: NodeMessage, secrets: NodeSecrets, now: number): Promise<SignedMessage> {
  if (message.body.byteLength > bodyLimitBytes) throw messageTooLarge(bodyLimitBytes, message.body.byteLength);
  const node = headerOf(message.node, "x-spikingbrain-node", /^[A-Za-z0-9][\w.-]{0,63}$/, "a node's name");
  const time = headerOf(message.timestamp, "x-spikingbrain-timestamp", /^\d{1,12}$/, "whole seconds since 1970");
  const nonce = headerOf(message.nonce, "x-spikingbrain-nonce", /^[0-9a-f]{32}$/, "32 hexadecimal digits in small letters");
  const signature = headerOf(message.signature, "x-spikingbrain-signature", /^[0-9a-f]{64}$/, "64 hexadecimal digits in small letters");
  const digest = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", message.body)));
  const signed = `${messageDomain}${message.method}\n${message.path}\n${time}\n${nonce}\n${digest}`;
  const secret = secrets.get(node);
  const key = await keyFrom(secret ?? new Uint8Array(32), "verify");
  const holds = await crypto.subtle.verify("HMAC", key, fromHex(signature), new TextEncoder().encode(signed));
  if (!holds || secret === undefined) throw signatureWrong();
  const timestamp = Number(time);
  if (Math.abs(timestamp - now / 1_000) > windowSeconds) throw messageTooLate(windowSeconds, timestamp, Math.floor(now / 1_000));
  return { node, timestamp, nonce, body: message.body };
}

/** The key that a replica knows its callers by, which never travels: both sides make it of the node's secret. */
export async function replicaKey(secret: Uint8Array<ArrayBuffer>, replica: string): Promise<string> {
  const key = await keyFrom(secret, "sign");
  return toHex(new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(keyDomain + replica))));
}

function keyFrom(secret: Uint8Array<ArrayBuffer>, use: "sign" | "verify") {
  return crypto.subtle.importKey("raw", secret, hmac, false, [use]);
}

function headerOf(value: string | null, name: string, pattern: RegExp, rule: string): string {
  if (value !== null && pattern.test(value)) return value;
  throw headerInvalid(name, rule, value === null);
}
