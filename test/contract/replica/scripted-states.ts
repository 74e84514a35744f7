/** A replica's store of states, with the toy's: the routes of `gpu-backend/docs/vllm-states.md`. */
import { toBase64 } from "../../../workers/encoding/base64.ts";
import { toHex } from "../../../workers/encoding/hex.ts";
import { textDigest } from "../../../workers/pool/backends/state-bytes.ts";
import { decode, encodeState, ToyState } from "../../workers/support/toy-state.ts";
import { errorOf } from "./error-of.ts";

interface Held {
  readonly tenant: string;
  state: ToyState | null;
  /** Of the text that it has read. */
  text: string;
}

const digestBytes = 32;
export const statesPath = "/spikingbrain/states";

export class ScriptedStates {
  readonly #held = new Map<string, Held>();
  #made = 0;

  get count(): number {
    return this.#held.size;
  }

  /** The state of a prompt's beginning; undefined where there is none, and the prompt is computed. */
  async imported(tenant: string, handle: string | undefined, prompt: readonly number[]): Promise<ToyState | undefined> {
    const held = handle === undefined ? undefined : this.#find(tenant, handle);
    if (held?.state === null || held === undefined || held.state.tokens >= prompt.length) return undefined;
    const text = await textDigest(Uint32Array.from(prompt.slice(0, held.state.tokens)));
    return text === held.text ? decode(encodeState(held.state)) : undefined;
  }

  async export(tenant: string, handle: string, state: ToyState, read: readonly number[]): Promise<void> {
    const held = this.#find(tenant, handle);
    if (held === undefined) return;
    held.state = state;
    held.text = await textDigest(Uint32Array.from(read));
  }

  async answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const tenant = request.headers.get("x-spikingbrain-tenant") ?? "";
    if (!/^[A-Za-z0-9_.-]{1,128}$/.test(tenant)) return errorOf(400, "invalid_request");
    const handle = pathname.slice(statesPath.length + 1);
    if (request.method === "POST" && handle === "") return this.#create(tenant);
    const held = this.#find(tenant, handle);
    if (held === undefined) return errorOf(404, "state_unknown");
    if (request.method === "PUT") return await this.#put(held, request);
    if (request.method === "DELETE") this.#held.delete(handle);
    if (request.method === "DELETE") return new Response(null, { status: 204 });
    return held.state === null
      ? errorOf(409, "state_not_ready")
      : await this.#get(held, held.state, Number(searchParams.get("from_page") ?? 0));
  }

  #create(tenant: string): Response {
    const handle = String(this.#made++).padStart(43, "h");
    this.#held.set(handle, { tenant, state: null, text: "" });
    return Response.json({ handle, status: "empty" }, { status: 201 });
  }

  async #put(held: Held, request: Request): Promise<Response> {
    const body = new Uint8Array(await request.arrayBuffer());
    const file = body.slice(0, -digestBytes);
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", file));
    if (toHex(sum) !== toHex(body.slice(-digestBytes))) return errorOf(422, "state_invalid");
    try {
      held.state = decode(file);
    } catch {
      return errorOf(422, "state_invalid");
    }
    held.text = request.headers.get("x-spikingbrain-text-sha256") ?? "";
    return Response.json({ status: "ready", tokens: held.state.tokens, position: held.state.tokens, text_sha256: held.text });
  }

  async #get({ text }: Held, state: ToyState, fromPage: number): Promise<Response> {
    const file = encodeState(state, fromPage);
    const digest = toBase64(new Uint8Array(await crypto.subtle.digest("SHA-256", file)));
    const headers = { "content-digest": `sha-256=:${digest}:`, "x-spikingbrain-text-sha256": text };
    return new Response(file, { headers: { ...headers, "content-type": "application/octet-stream" } });
  }

  #find(tenant: string, handle: string): Held | undefined {
    const held = this.#held.get(handle);
    return held?.tenant === tenant ? held : undefined;
  }
}
