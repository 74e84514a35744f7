/** The session Worker: no public routes, only the RPC surface that the gateway is bound to. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { internalFailure } from "../contracts/call.ts";
import type { Caller } from "../contracts/caller.ts";
import type { DecisionCaller, DecisionOrder, DecisionScores } from "../contracts/decisions.ts";
import type { CacheReport } from "../contracts/cache-report.ts";
import type { ModelVersion } from "../contracts/model-version.ts";
import type { Outcome } from "../contracts/outcome.ts";
import type { TenantId } from "../contracts/tenant.ts";
import { ServiceError } from "../contracts/errors.ts";
import type {
  GenerationOrder,
  GenerationRequest,
  Metadata,
  NewSession,
  OpenStream,
  SessionBackend,
  TurnMessages,
} from "../contracts/session.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { whileWaiting } from "../waiting/caller.ts";
import { reached } from "./calls.ts";
import { decide } from "./decisions/decide.ts";
import type { SessionEnvironment } from "./environment.ts";
import { cancelled, objectUnreachable, responseNotFound, sessionNotFound, storageCorrupt, streamNotFound } from "./failures.ts";
import { isGivenOut, newStreamId, streamObjectName } from "./ids/ids.ts";
import { findSession } from "./sessions/find-session.ts";
import { checkSettings } from "./settings.ts";
import { exportSession, importSession } from "./sessions/file/transfer.ts";
import { SessionKeeper } from "./sessions/session-keeper.ts";
import { guarded, isStorageCorrupt, type Objects } from "./storage/broken.ts";
import { startUnwritten } from "./answers/unwritten.ts";
import type { StreamObject } from "./answers/stream-object.ts";

export { DirectoryObject } from "./sessions/directory-object.ts";
export { SessionObject } from "./sessions/session-object.ts";
export { ShareObject } from "./sessions/share-object.ts";
export { TenantObject } from "./snapshots/tenant-object.ts";
export { StreamObject } from "./answers/stream-object.ts";

/** That an answer is tried to be given to. */
const mostObjects = 16;

export class SessionService extends WorkerEntrypoint<SessionEnvironment> implements SessionBackend {
  readonly #keeper = new SessionKeeper(this.env);

  async start(request: GenerationRequest, caller?: Caller): Promise<Outcome<OpenStream>> {
    return await this.#reach(async () => {
      const { tenant, turn, ...rest } = request;
      if (turn === undefined || tenant === null) return await this.#start({ ...rest, tenant }, caller);
      if (turn.session !== null) {
        const { session } = turn;
        const isThere = (await findSession(this.env, tenant, session, "sess", "ctx")) !== undefined;
        const begun = isThere ? await this.#start({ ...rest, tenant, turn: { ...turn, session } }, caller) : notThere;
        // A response goes with its session.
        const isGone = !begun.ok && begun.failure.code === "session_not_found" && turn.after !== undefined;
        return isGone ? { ok: false, failure: responseNotFound() } : begun;
      }
      const made = await this.#keeper.createForResponse(tenant, request.model);
      if (!made.ok) return made;
      const begun = await this.#start({ ...rest, tenant, turn: { ...turn, session: made.value } }, caller);
      // Nobody has heard of it.
      if (!begun.ok) await this.#keeper.deleteSession(tenant, made.value).catch(noteUndeleted);
      return begun;
    });
  }

  async #start(request: Omit<GenerationOrder, "stream">, caller: Caller | undefined): Promise<Outcome<OpenStream>> {
    const { tenant, turn, place } = request;
    let order = { ...request, stream: await newStreamId(this.env, place, tenant) };
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#streams(order.stream).start(order, caller);
        } catch (cause) {
          if (!isStorageCorrupt(cause) || attempt === mostObjects) throw cause;
          // Its file is broken, and another of the objects there may be sound.
          order = { ...request, stream: await newStreamId(this.env, place, tenant) };
        }
      }
    } catch (cause) {
      logLine("error", "session_object_unreachable", { cause: describeCause(cause) });
      // A turn belongs to its session, which would not know of it.
      if (turn !== undefined) return { ok: false, failure: isStorageCorrupt(cause) ? storageCorrupt("stream") : objectUnreachable() };
      return await startUnwritten(this.env, this.ctx, order, caller);
    }
  }

  async decide(order: DecisionOrder, caller?: DecisionCaller): Promise<Outcome<DecisionScores>> {
    return await this.#reach(async () => {
      const leaving = new AbortController();
      const leave = () => {
        leaving.abort(new ServiceError(cancelled("The client went away before its questions were answered.")));
      };
      const onBegun = (cache: CacheReport) => {
        caller?.begun(cache).catch(() => undefined);
      };
      return { ok: true, value: await whileWaiting(caller, leave, () => decide(this.env, order, leaving.signal, onBegun)) };
    });
  }

  async attach(tenant: TenantId | null, stream: string, after: number): Promise<Outcome<OpenStream>> {
    return await this.#atStream(tenant, stream, (object) => object.attach(tenant, stream, after));
  }

  async stop(tenant: TenantId | null, stream: string): Promise<Outcome<null>> {
    return await this.#atStream(tenant, stream, (object) => object.stop(tenant, stream));
  }

  async asked(tenant: TenantId, stream: string) {
    return await this.#atStream(tenant, stream, (object) => object.asked(tenant, stream));
  }

  async createSession(tenant: TenantId, request: NewSession) {
    return await this.#reach(() => this.#keeper.createSession(tenant, request));
  }

  async session(tenant: TenantId, id: string) {
    return await this.#reach(() => this.#keeper.session(tenant, id));
  }

  async sessions(tenant: TenantId, kind: "session" | "context", limit: number, after?: string) {
    return await this.#reach(() => this.#keeper.sessions(tenant, kind, limit, after));
  }

  async turns(tenant: TenantId, id: string, limit: number, after: number) {
    return await this.#reach(() => this.#keeper.turns(tenant, id, limit, after));
  }

  async noteMetadata(tenant: TenantId, id: string, metadata: Metadata) {
    return await this.#reach(() => this.#keeper.noteMetadata(tenant, id, metadata));
  }

  async countTurn(tenant: TenantId, model: ModelVersion, turn: TurnMessages) {
    return await this.#reach(() => this.#keeper.countTurn(tenant, model, turn));
  }

  async response(tenant: TenantId, session: string, stream: string) {
    return await this.#reach(() => this.#keeper.response(tenant, session, stream));
  }

  async deleteResponse(tenant: TenantId, session: string, stream: string) {
    return await this.#reach(() => this.#keeper.deleteResponse(tenant, session, stream));
  }

  async renameSession(tenant: TenantId, id: string, name: string) {
    return await this.#reach(() => this.#keeper.renameSession(tenant, id, name));
  }

  async rewindSession(tenant: TenantId, id: string, turn: number) {
    return await this.#reach(() => this.#keeper.rewindSession(tenant, id, turn));
  }

  async deleteSession(tenant: TenantId, id: string) {
    return await this.#reach(() => this.#keeper.deleteSession(tenant, id));
  }

  async shareSession(tenant: TenantId, id: string, seconds: number) {
    return await this.#reach(() => this.#keeper.shareSession(tenant, id, seconds));
  }

  async shares(tenant: TenantId, limit: number, after?: string, session?: string) {
    return await this.#reach(() => this.#keeper.shares(tenant, limit, after, session));
  }

  async unshare(tenant: TenantId, share: string) {
    return await this.#reach(() => this.#keeper.unshare(tenant, share));
  }

  async shared(share: string, after: number) {
    return await this.#reach(() => this.#keeper.shared(share, after));
  }

  async exportSession(tenant: TenantId, id: string, passphrase: string | null) {
    return await this.#reach(() => exportSession(this.env, tenant, id, passphrase));
  }

  async importSession(tenant: TenantId, file: ReadableStream<Uint8Array>, passphrase: string | null) {
    return await this.#reach(() => importSession(this.env, tenant, file, passphrase));
  }

  async createContext(tenant: TenantId, request: { readonly model: string; readonly name?: string }, text?: ReadableStream<Uint8Array>) {
    return await this.#reach(() => this.#keeper.createContext(tenant, request, text));
  }

  async appendContext(tenant: TenantId, id: string, offset: number, text: ReadableStream<Uint8Array>, last: boolean) {
    return await this.#reach(() => this.#keeper.appendContext(tenant, id, offset, text, last));
  }

  async followContext(tenant: TenantId, id: string) {
    return await this.#reach(() => this.#keeper.followContext(tenant, id));
  }

  async usage(tenant: TenantId) {
    return await this.#reach(() => this.#keeper.usage(tenant));
  }

  async deleteTenant(tenant: TenantId) {
    return await this.#reach(() => this.#keeper.deleteTenant(tenant));
  }

  /** A name that was not given out to this tenant touches no object. */
  async #atStream<T>(tenant: TenantId | null, stream: string, call: (object: StreamSurface) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    return await this.#reach(async () => {
      const name = (await isGivenOut(this.env, stream, tenant, "stream")) ? streamObjectName(stream) : undefined;
      return name === undefined ? { ok: false, failure: streamNotFound() } : await call(reached(this.#streams(stream)));
    });
  }

  #streams(stream: string): StreamSurface {
    const objects: Objects<StreamSurface> = this.env.STREAM_OBJECT;
    return guarded(objects, streamObjectName(stream) ?? "", "stream", (stub) => stub.isRunning(""));
  }

  async #reach<T>(call: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    try {
      checkSettings(this.env);
      return await call();
    } catch (cause) {
      if (cause instanceof ServiceError) {
        if (cause.failure.code === "configuration_invalid") logLine("error", "configuration_invalid", { cause: cause.message });
        return { ok: false, failure: cause.failure };
      }
      logLine("error", "session_defect", { cause: describeCause(cause) });
      return { ok: false, failure: internalFailure };
    }
  }
}

const notThere: Outcome<never> = { ok: false, failure: sessionNotFound() };

const noteUndeleted = (cause: unknown): void => {
  logLine("error", "session_not_deleted", { cause: describeCause(cause) });
};

type StreamSurface = Pick<StreamObject, "start" | "attach" | "stop" | "asked" | "isRunning">;

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
