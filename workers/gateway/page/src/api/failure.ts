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
  /** Any other refusal or failure that the server explained. */
  | "server"
  /** The stream ended without its terminal event. */
  | "cut"
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
  if (error?.["code"] === "context_length_exceeded") return { kind: "context", ...details };
  const busy = status === 429 || status === 503 || error?.["code"] === "overloaded";
  return { kind: busy ? "busy" : "server", ...details };
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
