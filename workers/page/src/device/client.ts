/** The page's end of the Worker with the engine (`workers/page/device`). */
import type {
  AnswerOrder,
  DeviceCall,
  DeviceCalls,
  DeviceEvent,
  DeviceFailure,
  DeviceMethod,
  DeviceReply,
  stopWord,
} from "../../device/protocol.ts";
import { connectionFailure, FailureError, type Failure } from "../api/failure.ts";

/** Written in by `build.mjs`. */
declare const deviceWorkerPath: string;

const stop: typeof stopWord = "stop";

interface CallOptions<M extends DeviceMethod> {
  readonly onEvent?: (event: DeviceCalls[M]["event"]) => void;
  /** Ends the work; the call then ends as soon as the Worker has put down what there is. */
  readonly signal?: AbortSignal;
}

export class DeviceClient {
  readonly #worker: Worker;
  readonly #running = new Set<(failure: Failure) => void>();
  #failure: Failure | null = null;

  constructor() {
    this.#worker = new Worker(trustedPath(), { type: "module", name: "device" });
    // A script that can't be had, or one that broke.
    this.#worker.onerror = ({ message }) => this.#fail(message ? { kind: "device", message } : connectionFailure(navigator.onLine));
  }

  /** @throws FailureError */
  call<M extends DeviceMethod>(
    method: M,
    argument: DeviceCalls[M]["argument"],
    options: CallOptions<M> = {},
  ): Promise<DeviceCalls[M]["result"]> {
    const { onEvent, signal } = options;
    return new Promise((resolve, reject) => {
      const { port1: port, port2 } = new MessageChannel();
      const stopIt = () => port.postMessage(stop);
      const fail = (failure: Failure) => {
        end();
        reject(new FailureError(failure));
      };
      const end = () => {
        this.#running.delete(fail);
        signal?.removeEventListener("abort", stopIt);
        port.close();
      };
      if (this.#failure !== null) {
        fail(this.#failure);
        return;
      }
      this.#running.add(fail);
      signal?.addEventListener("abort", stopIt, { once: true });
      port.onmessage = ({ data }: MessageEvent<DeviceReply<M>>) => {
        if ("event" in data) onEvent?.(data.event);
        else if ("failure" in data) fail(failureOf(data.failure));
        else {
          end();
          resolve(data.result);
        }
      };
      this.#worker.postMessage({ method, argument } satisfies DeviceCall<M>, [port2]);
      if (signal?.aborted === true) stopIt();
    });
  }

  /** The events of one answer as they come. @throws FailureError; the abort's reason after one. */
  async *answer(order: AnswerOrder, signal: AbortSignal): AsyncGenerator<DeviceEvent, void, undefined> {
    const events = new ReadableStream<DeviceEvent>({
      start: (controller) => {
        const onEvent = (event: DeviceEvent) => controller.enqueue(event);
        this.call("answer", order, { onEvent, signal }).then(
          () => controller.close(),
          (error: unknown) => controller.error(error),
        );
      },
    });
    yield* events;
    signal.throwIfAborted();
  }

  /** Gives its memory back; what it remembers stays. */
  end(): void {
    this.#worker.terminate();
    this.#fail({ kind: "device" });
  }

  #fail(failure: Failure): void {
    this.#failure ??= failure;
    for (const fail of this.#running) fail(failure);
  }
}

function failureOf({ kind, message }: DeviceFailure): Failure {
  if (kind === "network") return connectionFailure(navigator.onLine);
  return { kind, ...(message === undefined ? {} : { message }) };
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL: (url: string) => string };
}

type TrustedPolicy = ReturnType<TrustedTypes["createPolicy"]>;

let policy: TrustedPolicy | null = null;

/** The page's policy takes this script's address from here only, and it is the only one. A policy can be made once. */
function trustedPath(): string {
  const { trustedTypes } = globalThis as { readonly trustedTypes?: TrustedTypes };
  if (trustedTypes === undefined) return deviceWorkerPath;
  policy ??= trustedTypes.createPolicy("device-worker", { createScriptURL: () => deviceWorkerPath });
  return policy.createScriptURL("");
}
