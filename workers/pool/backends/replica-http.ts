/** Requests to one replica: a fresh set of headers, paths of an allow-list, nothing followed, nothing decompressed, and answers within bounds. */
import { ServiceError } from "../../contracts/errors.ts";
import type { BackendCall, Network } from "./contract.ts";
import { brokeOff, malformed, notReached, ReplicaRefusal } from "./failures.ts";

/** Longest wait for an answer's headers, which replicas send before they compute. */
const defaultHeaderMilliseconds = 15_000;
/** Most of an error's body that is read. */
const mostErrorBytes = 16_384;
const plainCode = /^[a-z_]{1,64}$/;

export interface HttpOptions {
  readonly headerMilliseconds?: number;
  /** Called with work that goes on behind an answer, such as removing what it has left at a replica. */
  readonly waitUntil?: (work: Promise<unknown>) => void;
}

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | ReadableStream<Uint8Array>;
  /** The type that the answer must have; null where its body is not read. */
  readonly accept: "text/event-stream" | "application/json" | "application/octet-stream" | null;
  /** Longest wait for the headers where the replica works first, or takes a long body; `Infinity`: as long as the caller's signal lets it. */
  readonly headerMilliseconds?: number;
}

export class ReplicaHttp {
  readonly #network: Network;
  /** Of whole paths. */
  readonly #allowed: RegExp;
  readonly #call: Pick<BackendCall, "replica" | "key" | "access">;
  readonly #headerMilliseconds: number;

  constructor(network: Network, allowed: RegExp, call: Pick<BackendCall, "replica" | "key" | "access">, options: HttpOptions = {}) {
    this.#network = network;
    this.#allowed = allowed;
    this.#call = call;
    this.#headerMilliseconds = options.headerMilliseconds ?? defaultHeaderMilliseconds;
  }

  /** A good answer with its body unread. @throws ServiceError that says what a client may know of a refusal. */
  async ask(asked: HttpRequest, signal: AbortSignal): Promise<Response> {
    const response = await this.#send(asked, signal);
    try {
      await this.#check(response, asked);
      return response;
    } catch (cause) {
      void response.body?.cancel().catch(() => undefined);
      throw cause;
    }
  }

  async #send(asked: HttpRequest, signal: AbortSignal): Promise<Response> {
    const headersDue = new AbortController();
    const { headerMilliseconds = this.#headerMilliseconds } = asked;
    const timer = headerMilliseconds === Infinity ? undefined : setTimeout(() => headersDue.abort(), headerMilliseconds);
    try {
      return await this.#network(this.#request(asked, AbortSignal.any([signal, headersDue.signal])));
    } catch (cause) {
      if (cause instanceof ServiceError) throw cause;
      // Not as the cause: it may hold the address.
      throw new ServiceError(notReached());
    } finally {
      clearTimeout(timer);
    }
  }

  #request({ method, path, query = {}, headers = {}, body, accept }: HttpRequest, signal: AbortSignal): Request {
    if (!this.#allowed.test(path)) throw new Error(`a path that is not on the list of the backend's: ${path}`);
    const { replica, key, access = null } = this.#call;
    const url = new URL(replica.address + path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const sent = new Headers({ "accept-encoding": "identity", ...(accept === null ? {} : { accept }), ...headers });
    if (typeof body === "string") sent.set("content-type", "application/json");
    if (key !== null) sent.set("authorization", `Bearer ${key}`);
    if (access !== null) {
      sent.set("cf-access-client-id", access.id);
      sent.set("cf-access-client-secret", access.secret);
    }
    return new Request(url, { method, headers: sent, redirect: "manual", signal, ...(body === undefined ? {} : { body }) });
  }

  async #check(response: Response, { accept }: HttpRequest): Promise<void> {
    const { status, headers } = response;
    if (status >= 300 && status < 400) throw malformed("it is a redirect");
    if ((headers.get("content-encoding") ?? "identity") !== "identity") throw malformed("it is compressed, which was not asked for");
    if (status < 200 || status >= 300) throw new ReplicaRefusal(status, await codeOf(response), headers.get("retry-after"));
    const type = headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
    if (accept !== null && type !== accept) throw malformed(`its type is not ${accept}`);
  }
}

/** Of OpenAI's error shape, where it has one. */
async function codeOf(response: Response): Promise<string | null> {
  try {
    const body: unknown = JSON.parse(await boundedText(response, mostErrorBytes));
    const code = (body as { readonly error?: { readonly code?: unknown } } | null)?.error?.code;
    return typeof code === "string" && plainCode.test(code) ? code : null;
  } catch {
    return null;
  }
}

/** A body's text. @throws ServiceError where it has more bytes; then it is let go. */
export async function boundedText(response: Response, mostBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  try {
    for await (const chunk of bytesOf(response)) {
      bytes += chunk.byteLength;
      if (bytes > mostBytes) throw malformed(`it has more than ${String(mostBytes)} bytes`);
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (cause) {
    throw cause instanceof ServiceError ? cause : new ServiceError(brokeOff());
  }
  return text + decoder.decode();
}

/** A body as it is: the runtime's type does not say of what. */
export function bytesOf(response: Response): ReadableStream<Uint8Array> {
  return (response.body ?? new Blob().stream()) as ReadableStream<Uint8Array>;
}
