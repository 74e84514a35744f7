/** What the page knows of something that went wrong; the view turns it into words and advice. */
export interface Failure {
  readonly kind: FailureKind;
  readonly status?: number;
  /** The server's own message, shown as it is. */
  readonly message?: string;
  readonly retryAfterSeconds?: number;
}

export type FailureKind =
  /** The browser says there is no network. */
  | "offline"
  /** The request never got an answer, or the connection broke. */
  | "network"
  /** 429 or 503: the same request may succeed later. */
  | "busy"
  /** The conversation does not fit into the model's context. */
  | "context"
  /** The server serves only those who bring a key that it knows. */
  | "key"
  /** What was asked for has expired, was deleted, or belongs to another key: the server does not say which. */
  | "gone"
  /** What was asked does not go with what is there now, such as a turn that is running. */
  | "conflict"
  /** This key's share of the server's storage is used up. */
  | "quota"
  /** A file that only another key or passphrase opens. */
  | "sealed"
  /** A file that is none of this server's, or damaged. */
  | "file"
  /** A file without a byte in it. */
  | "empty"
  /** Any other refusal or failure that the server explained. */
  | "server"
  /** The stream ended without its terminal event. */
  | "cut"
  /** This browser can't run the model. */
  | "simd"
  /** This browser has no room for the model. */
  | "storage"
  /** What was downloaded of the model is not what it must be. */
  | "download"
  /** This device's memory does not hold the model and its state. */
  | "memory"
  /** Anything else that the engine on this device can't do. */
  | "device"
  /** The server sent something this page cannot read. */
  | "protocol";

/** A {@link Failure} that can be thrown. */
export class FailureError extends Error {
  override readonly name = "FailureError";
  readonly failure: Failure;

  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.message ?? failure.kind, options);
    this.failure = failure;
  }
}

/** For a rejected `fetch` or a body that broke off: the browser does not say why, only whether it has a network at all. */
export function connectionFailure(online: boolean): Failure {
  return { kind: online ? "network" : "offline" };
}

export async function responseFailure(response: Response): Promise<Failure> {
  const text = await response.text().catch(() => "");
  return failureFromError(parseJson(text), response.status, retryAfterSeconds(response.headers.get("retry-after")));
}

/** From OpenAI's error shape, `{"error":{message, code}}`, in a response body or as an event of a stream. */
export function failureFromError(body: unknown, status?: number, retryAfter?: number): Failure {
  const error = record(record(body)?.["error"]);
  const message = error?.["message"];
  const details = {
    ...(status === undefined ? {} : { status }),
    ...(typeof message === "string" && message !== "" ? { message } : {}),
    ...(retryAfter === undefined ? {} : { retryAfterSeconds: retryAfter }),
  };
  const code = error?.["code"];
  const known = typeof code === "string" ? kinds[code] : undefined;
  if (known !== undefined) return { kind: known, ...details };
  if (status === 401) return { kind: "key", ...details };
  return { kind: status === 429 || status === 503 ? "busy" : "server", ...details };
}

/** The server's codes (`FailureCode` in the contracts) that call for words or deeds of their own. */
const kinds: Readonly<Partial<Record<string, FailureKind>>> = {
  context_length_exceeded: "context",
  invalid_api_key: "key",
  stream_not_found: "gone",
  session_not_found: "gone",
  context_not_found: "gone",
  share_not_found: "gone",
  conflict: "conflict",
  quota_exceeded: "quota",
  snapshot_sealed: "sealed",
  snapshot_invalid: "file",
  overloaded: "busy",
};

/** Whatever went wrong, as a failure; undefined for a bug of the page's own. */
export function failureOf(error: unknown): Failure | undefined {
  return error instanceof FailureError ? error.failure : undefined;
}

/** `Retry-After` as seconds or as a date; undefined where it says nothing usable. */
export function retryAfterSeconds(header: string | null, now: number = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000));
}

export function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
