/** What the session Worker does with sessions, contexts and shares: which objects it asks, and in which order. */
import type { ModelVersion } from "../../contracts/model-version.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import { ServiceError, type FailureCode, type ServiceFailure } from "../../contracts/errors.ts";
import type { ModelCard } from "../../contracts/model-files.ts";
import type {
  Metadata,
  NewSession,
  SessionBackend,
  SessionFacts,
  SharedSession,
  ShareFacts,
  TurnMessages,
} from "../../contracts/session.ts";
import { modelNamed } from "../../models/served-model.ts";
import { versionForNew } from "../../models/version.ts";
import { fromPool } from "../calls.ts";
import type { SessionEnvironment } from "../environment.ts";
import { asOutcome, contextNotFound, invalidRequest, responseNotFound, sessionNotFound, shareNotFound } from "../failures.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { releaseOwned } from "../snapshots/release-owned.ts";
import { newUpload } from "./document-reader.ts";
import type { IdKeys } from "../ids/id-keys.ts";
import { isGivenOut, newId } from "../ids/ids.ts";
import { directoryOf, findSession, sessionAt, type DirectorySurface, type SessionSurface } from "./find-session.ts";
import { isStorageCorrupt } from "../storage/broken.ts";
import { unixSeconds, type SessionCopy, type SessionRecord } from "./record.ts";
import { openingOf } from "./opening.ts";
import { adopt } from "./adopt.ts";
import { deleteBroken, deleteTenant, shareAt, tenantAt, type ShareSurface, type TenantSurface } from "./deletion.ts";
import { ownersOf } from "./contract.ts";

export type Sessions = Omit<SessionBackend, "start" | "decide" | "attach" | "stop" | "asked" | "exportSession" | "importSession">;

/** Of one that is listed: it has gone meanwhile, or its file is damaged. What else fails is no property of it, and may pass. */
const cannotBeShown: ReadonlySet<FailureCode> = new Set(["session_not_found", "context_not_found", "storage_corrupt"]);
/** Beyond it the oldest must be deleted first. */
const mostSessions = 10_000;

export class SessionKeeper implements Sessions {
  readonly #environment: SessionEnvironment;

  constructor(environment: SessionEnvironment) {
    this.#environment = environment;
  }

  async createSession(tenant: TenantId, { model: id, name, metadata, from, share }: NewSession): Promise<Outcome<SessionFacts>> {
    const { card } = await modelNamed(this.#environment, id);
    await this.#admit(tenant);
    if (share !== undefined) return await this.#fromShare(tenant, share, name, id);
    if (from === undefined) {
      const record = await newRecord(this.#environment, tenant, "session", await this.#version(card), name ?? "");
      return await this.#create({ ...record, ...(metadata === undefined ? {} : { metadata }) });
    }
    const original = await this.#find(tenant, from.session, "sess", "ctx");
    const copied = (await original?.copy(from.turn)) ?? notFound(from.session);
    if (!copied.ok) return { ok: false, failure: named(copied.failure, from.session) };
    requireSameModel(id, copied.value.record.model);
    const parent = { session: from.session, turn: copied.value.last };
    const { record: first } = copied.value;
    const record = await newRecord(this.#environment, tenant, "session", first.model, name ?? first.name);
    const { lastBackend } = first;
    return await this.#create(
      { ...record, parent, ...openingOf(first), ...(lastBackend === undefined ? {} : { lastBackend }) },
      copied.value,
    );
  }

  async session(tenant: TenantId, id: string): Promise<Outcome<SessionFacts>> {
    return (await (await this.#find(tenant, id, "sess", "ctx"))?.facts()) ?? notFound(id);
  }

  async sessions(tenant: TenantId, kind: "session" | "context", limit: number, after?: string): Promise<Outcome<readonly SessionFacts[]>> {
    const directory = this.#directory(tenant);
    if (after !== undefined && !(await directory.has(after)))
      return { ok: false, failure: invalidRequest("'after': there is no such session or context to go on from.", "after") };
    const sessions: SessionFacts[] = [];
    const asked = new Set<string>();
    // One that is listed and cannot be shown (its own error says what to do) leaves its place to the next: who gets fewer than asked for takes
    // the list for ended.
    for (let last = after; sessions.length < limit; last = [...asked].at(-1)) {
      const ids = (await directory.list(kind, limit - sessions.length, last)).filter((id) => !asked.has(id));
      if (ids.length === 0) break;
      for (const id of ids) asked.add(id);
      const found = await Promise.all(ids.map((id) => asOutcome(() => this.session(tenant, id))));
      for (const outcome of found) {
        if (outcome.ok) sessions.push(outcome.value);
        // It may be there: a list without it would say that it is not.
        else if (!cannotBeShown.has(outcome.failure.code)) return outcome;
      }
    }
    return { ok: true, value: sessions };
  }

  async turns(tenant: TenantId, id: string, limit: number, after: number): ReturnType<Sessions["turns"]> {
    return (await (await this.#find(tenant, id, "sess", "ctx"))?.turns(limit, after)) ?? notFound(id);
  }

  async renameSession(tenant: TenantId, id: string, name: string): Promise<Outcome<SessionFacts>> {
    return (await (await this.#find(tenant, id, "sess", "ctx"))?.rename(name)) ?? notFound(id);
  }

  async noteMetadata(tenant: TenantId, id: string, metadata: Metadata): Promise<Outcome<SessionFacts>> {
    return (await (await this.#find(tenant, id, "sess"))?.noteMetadata(metadata)) ?? notFound(id);
  }

  async countTurn(tenant: TenantId, version: ModelVersion, turn: TurnMessages): Promise<Outcome<number>> {
    const counted = (await (await this.#find(tenant, turn.session, "sess"))?.countTurn(version, turn)) ?? notFound(turn.session);
    return turn.after === undefined ? counted : asResponse(counted);
  }

  async response(tenant: TenantId, session: string, stream: string): ReturnType<Sessions["response"]> {
    return asResponse(await (await this.#find(tenant, session, "sess"))?.response(stream));
  }

  async deleteResponse(tenant: TenantId, session: string, stream: string): Promise<Outcome<null>> {
    return asResponse(await (await this.#find(tenant, session, "sess"))?.deleteResponse(stream));
  }

  /** For a turn that is a response of none; its id. */
  async createForResponse(tenant: TenantId, model: ModelVersion): Promise<Outcome<string>> {
    await this.#admit(tenant);
    const record = await newRecord(this.#environment, tenant, "session", model, "");
    const made = await this.#create({ ...record, isOfResponses: true });
    return made.ok ? { ok: true, value: record.id } : made;
  }

  async rewindSession(tenant: TenantId, id: string, turn: number): Promise<Outcome<SessionFacts>> {
    return (await (await this.#find(tenant, id, "sess"))?.rewind(turn)) ?? notFound(id);
  }

  async deleteSession(tenant: TenantId, id: string): Promise<Outcome<null>> {
    const object = await this.#find(tenant, id, "sess", "ctx");
    if (object === undefined) return notFound(id);
    try {
      return await deleted(object, tenant);
    } catch (cause) {
      if (!isStorageCorrupt(cause)) throw cause;
      await deleteBroken(this.#environment, tenant, id, object);
      return { ok: true, value: null };
    }
  }

  async shareSession(
    tenant: TenantId,
    id: string,
    seconds: number,
  ): Promise<Outcome<{ readonly share: string; readonly expires: number }>> {
    const copied = (await (await this.#find(tenant, id, "sess"))?.copy()) ?? notFound(id);
    if (!copied.ok) return copied;
    const share = await newId(this.#environment, "share", null);
    const { record } = copied.value;
    const fork = await newRecord(this.#environment, tenant, "share", record.model, record.name);
    const created = unixSeconds();
    const expires = created + seconds;
    const object = this.#share(share);
    await object.begin({ id: share, tenant, session: fork.id, expires });
    const made = await this.#create({ ...fork, ...openingOf(record) }, copied.value);
    if (made.ok) await this.#directory(tenant).putShare({ id: share, session: id, name: record.name, created, expires });
    const isOpen = made.ok && (await object.open());
    // It was deleted meanwhile, with the shares that it had then.
    const isThere = isOpen && (await this.session(tenant, id)).ok;
    if (isThere) return { ok: true, value: { share, expires } };
    // One that has ended by itself meanwhile knows of nothing that was made since.
    if (!(await object.end(tenant))) await sessionAt(this.#environment, tenant, fork.id, "share").delete(tenant);
    return made.ok ? notFound(id) : made;
  }

  async shares(tenant: TenantId, limit: number, after?: string, session?: string): Promise<Outcome<readonly ShareFacts[]>> {
    const directory = this.#directory(tenant);
    if (after !== undefined && !(await directory.hasShare(after)))
      return { ok: false, failure: invalidRequest("'after': there is no such share to go on from.", "after") };
    if (session !== undefined) {
      const found = (await (await this.#find(tenant, session, "sess"))?.facts()) ?? notFound(session);
      if (!found.ok) return found;
    }
    return { ok: true, value: await directory.listShares(unixSeconds(), limit, after, session) };
  }

  async unshare(tenant: TenantId, share: string): Promise<Outcome<null>> {
    const object = await this.#findShare(share);
    if (object === undefined) return { ok: false, failure: shareNotFound() };
    if (await object.end(tenant)) return { ok: true, value: null };
    // What is listed is there for who lists it, though its object may not know of it.
    if (!(await this.#directory(tenant).hasShare(share))) return { ok: false, failure: shareNotFound() };
    await this.#directory(tenant).removeShare(share);
    return { ok: true, value: null };
  }

  async shared(share: string, after: number): Promise<Outcome<SharedSession>> {
    const found = (await (await this.#findShare(share))?.get()) ?? null;
    if (found === null) return { ok: false, failure: shareNotFound() };
    const object = sessionAt(this.#environment, found.tenant, found.session, "share");
    const [facts, turns] = await Promise.all([object.facts(), object.turns(Number.MAX_SAFE_INTEGER, after)]);
    if (!facts.ok || !turns.ok) return { ok: false, failure: shareNotFound() };
    const { name, model, tokens, stateBytes } = facts.value;
    return { ok: true, value: { name, model, tokens, stateBytes, ...turns.value, expires: found.expires } };
  }

  async createContext(
    tenant: TenantId,
    { model: id, name }: { readonly model: string; readonly name?: string },
    text?: ReadableStream<Uint8Array>,
  ): Promise<Outcome<SessionFacts>> {
    const { card } = await modelNamed(this.#environment, id);
    await this.#admit(tenant);
    const record = await newRecord(this.#environment, tenant, "context", await this.#version(card), name ?? "");
    const made = await this.#create({ ...record, upload: newUpload });
    return made.ok && text !== undefined ? await this.#object(tenant, record.id).fillDocument(text) : made;
  }

  async appendContext(
    tenant: TenantId,
    id: string,
    offset: number,
    text: ReadableStream<Uint8Array>,
    last: boolean,
  ): Promise<Outcome<SessionFacts>> {
    const object = await this.#find(tenant, id, "ctx");
    if (object !== undefined) return await object.appendDocument(offset, text, last);
    await text.cancel("there is no such context").catch(() => undefined);
    return notFound(id);
  }

  async followContext(tenant: TenantId, id: string): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return (await (await this.#find(tenant, id, "ctx"))?.followDocument()) ?? notFound(id);
  }

  async usage(tenant: TenantId): ReturnType<Sessions["usage"]> {
    const [sessions, { hotBytes, sharedBytes, durableBytes, charged, quotaBytes }] = await Promise.all([
      this.#directory(tenant).count(),
      this.#tenantObject(tenant).usage(),
    ]);
    const bytes = { states: hotBytes + sharedBytes + durableBytes, ...charged };
    return { ok: true, value: { sessions, hotBytes, durableBytes: durableBytes + sharedBytes, bytes, quotaBytes } };
  }

  async deleteTenant(tenant: TenantId): Promise<Outcome<null>> {
    await deleteTenant(this.#environment, tenant);
    return { ok: true, value: null };
  }

  /** Of the model of one that begins with nothing. @throws ServiceError where no backend could tell which it is. */
  async #version(card: ModelCard): Promise<ModelVersion> {
    return await versionForNew(card, () => fromPool(this.#environment.POOL.models()));
  }

  /** @throws ServiceError where there is no room for a new one. */
  async #admit(tenant: TenantId): Promise<void> {
    const count = await this.#directory(tenant).count();
    if (count < mostSessions) return;
    throw new ServiceError(invalidRequest(`There are ${String(count)} sessions and contexts, which is the limit: delete some.`));
  }

  async #create(record: SessionRecord, copy?: Pick<SessionCopy, "turns" | "tokens">): Promise<Outcome<SessionFacts>> {
    return await this.#object(record.tenant, record.id).create(record, copy);
  }

  /** Its states are another tenant's, so they are sealed anew. */
  async #fromShare(tenant: TenantId, share: string, name: string | undefined, model: string): Promise<Outcome<SessionFacts>> {
    const found = (await (await this.#findShare(share))?.get()) ?? null;
    const copied = found === null ? undefined : await sessionAt(this.#environment, found.tenant, found.session, "share").copy();
    if (found === null || copied?.ok !== true) return { ok: false, failure: shareNotFound() };
    const { record: first } = copied.value;
    requireSameModel(model, first.model);
    const record = await newRecord(this.#environment, tenant, "session", first.model, name ?? first.name);
    const turns = await adopt(copied.value.turns, record, this.#store(found.tenant), this.#store(tenant));
    const made = await this.#create({ ...record, ...openingOf(first) }, { turns, tokens: copied.value.tokens });
    if (!made.ok) await releaseOwned(this.#store(tenant), record.id, ownersOf(record.id));
    return made;
  }

  async #find(tenant: TenantId, id: string, ...prefixes: readonly ("sess" | "ctx")[]): Promise<SessionSurface | undefined> {
    return await findSession(this.#environment, tenant, id, ...prefixes);
  }

  async #findShare(id: string): Promise<ShareSurface | undefined> {
    return (await isGivenOut(this.#environment, id, null, "share")) ? this.#share(id) : undefined;
  }

  #object(tenant: TenantId, id: string): SessionSurface {
    return sessionAt(this.#environment, tenant, id);
  }

  #share(id: string): ShareSurface {
    return shareAt(this.#environment, id);
  }

  #directory(tenant: TenantId): DirectorySurface {
    return directoryOf(this.#environment, tenant);
  }

  #store(tenant: TenantId): SnapshotStore {
    return this.#tenantObject(tenant);
  }

  #tenantObject(tenant: TenantId): TenantSurface {
    return tenantAt(this.#environment, tenant);
  }
}

export async function newRecord(
  keys: IdKeys,
  tenant: TenantId,
  kind: SessionRecord["kind"],
  model: ModelVersion,
  name: string,
): Promise<SessionRecord> {
  const now = unixSeconds();
  const id = await newId(keys, kind === "context" ? "ctx" : "sess", tenant);
  return { id, tenant, kind, name, model, created: now, updated: now, parent: null, running: null, upload: null };
}

/** A conversation's tokens mean nothing to another model. @throws ServiceError */
function requireSameModel(asked: string, found: ModelVersion): void {
  if (asked === found.id) return;
  throw new ServiceError(invalidRequest(`'model': the conversation was made with the model '${found.id}' (got '${asked}').`, "model"));
}

function notFound(id: string): { readonly ok: false; readonly failure: ServiceFailure } {
  return { ok: false, failure: named(sessionNotFound(), id) };
}

/** A response whose session is not there any more went with it. */
function asResponse<T>(outcome: Outcome<T> | undefined): Outcome<T> {
  if (outcome === undefined || (!outcome.ok && outcome.failure.code === "session_not_found"))
    return { ok: false, failure: responseNotFound() };
  return outcome;
}

/** A missing context is told of as one. */
function named(failure: ServiceFailure, id: string): ServiceFailure {
  return failure.code === "session_not_found" && id.startsWith("ctx_") ? contextNotFound() : failure;
}

/** An object that has deleted itself ends with the call. */
async function deleted(object: SessionSurface, tenant: TenantId): Promise<Outcome<null>> {
  const outcome = await object.delete(tenant);
  return outcome.ok ? { ok: true, value: null } : outcome;
}
