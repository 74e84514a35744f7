/** Sessions as sealed files: out under the tenant's key or a passphrase, and in again. */
import { turnFinishes } from "../../../contracts/finish.ts";
import * as z from "zod";
import type { ModelVersion } from "../../../contracts/model-version.ts";
import type { Outcome } from "../../../contracts/outcome.ts";
import type { TenantId } from "../../../contracts/tenant.ts";
import { release } from "../../../contracts/release.ts";
import { ServiceError } from "../../../contracts/errors.ts";
import type { SessionFacts } from "../../../contracts/session.ts";
import { describeCause, logLine } from "../../../observe/log-line.ts";
import { parseExact } from "../../../encoding/exact-json.ts";
import { catalog } from "../../../models/catalog.ts";
import { modelNamed, type ServedModel } from "../../../models/served-model.ts";
import { versionOf } from "../../../models/version.ts";
import { fromPool, reached } from "../../calls.ts";
import type { SessionEnvironment } from "../../environment.ts";
import { sessionNotFound } from "../../failures.ts";
import { snapshotInvalid } from "../../../state-file/failures.ts";
import { identityOf } from "../../identity.ts";
import type { ModelIdentity, SnapshotStore } from "../../snapshots/contract.ts";
import { releaseOwned } from "../../snapshots/release-owned.ts";
import { keepState } from "../adopt.ts";
import { ownersOf } from "../contract.ts";
import { findSession, sessionAt } from "../find-session.ts";
import { mostConversationTokens } from "../../../session-file/limits.ts";
import { unixSeconds } from "../record.ts";
import { newPassphraseKey, passphraseKey } from "../../../session-file/passphrase-key.ts";
import type { FileVersion } from "../../../session-file/header.ts";
import { openSessionFile, sealSessionFile, type FileContent } from "../../../session-file/session-file.ts";
import { newTenantKey, tenantKey } from "./tenant-key.ts";
import { openingOf } from "../opening.ts";
import { newRecord } from "../session-keeper.ts";
import { linesOfTurns, turnsOfLines } from "../turn-lines.ts";
import type { StoredTurn } from "../turn-rows.ts";

/** The year 9999: no later one is shown rightly everywhere. */
const latestSeconds = 253_402_300_799;

const message = z.strictObject({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: z.string(),
  name: z.string().exactOptional(),
  calls: z.array(z.strictObject({ id: z.string(), name: z.string(), arguments: z.string() })).exactOptional(),
  callId: z.string().exactOptional(),
});
const turn = z.strictObject({
  number: z.int().min(0).max(mostConversationTokens),
  messages: z.array(message),
  tokens: z.int().min(0).max(mostConversationTokens),
  finish: z.enum(turnFinishes),
  created: z.int().min(0).max(latestSeconds),
});
/** An object in a file, whose JSON keeps the digits of numbers. */
const parameters = z.record(z.string(), z.unknown()).transform((schema) => JSON.stringify(schema));
/** What the conversation begins with, to go on with it or to begin otherwise. */
const opening = z.strictObject({
  instructions: z.string().nullable().exactOptional(),
  tools: z.array(z.strictObject({ name: z.string(), description: z.string().exactOptional(), parameters })).exactOptional(),
  firstPromptTokens: z.int().min(0).max(mostConversationTokens).exactOptional(),
});
const transcript = z.strictObject({
  name: z.string().max(200),
  turns: z.array(turn),
  /** Tokens that the state has read; 0 without one. */
  stateTokens: z.int().min(0).max(mostConversationTokens),
  opening: opening.exactOptional(),
});

const inFile = (begun: ReturnType<typeof openingOf>): object => ({
  ...begun,
  ...(begun.tools === undefined ? {} : { tools: begun.tools.map((tool) => ({ ...tool, parameters: parseExact(tool.parameters) })) }),
});

/** The first version whose readers understand it. */
function versionOfFile(turns: readonly StoredTurn[], hasOpening: boolean): FileVersion {
  const messages = turns.flatMap((one) => one.messages);
  if (hasOpening || messages.some(({ name }) => name !== undefined)) return 3;
  return messages.some(({ calls, callId }) => calls !== undefined || callId !== undefined) ? 2 : 1;
}

export async function exportSession(
  environment: SessionEnvironment,
  tenant: TenantId,
  id: string,
  passphrase: string | null,
): Promise<Outcome<{ readonly file: ReadableStream<Uint8Array> }>> {
  const object = await findSession(environment, tenant, id, "sess", "ctx");
  if (object === undefined) return { ok: false, failure: sessionNotFound() };
  const copied = await object.copy();
  if (!copied.ok) return copied;
  const { record, tokens } = copied.value;
  const turns = [...turnsOfLines(copied.value.turns)];
  try {
    const { key, sealed } = passphrase === null ? await newTenantKey(environment.STATE_KEYS, tenant) : await newPassphraseKey(passphrase);
    const newest = turns.findLast(({ snapshot }) => snapshot !== null);
    const state = newest === undefined ? null : await stateOf(environment, tenant, newest);
    const begun = openingOf(record);
    const hasOpening = (begun.instructions ?? null) !== null || (begun.tools ?? []).length > 0;
    const content: FileContent = {
      header: { ...identityOf(record.model), tokens: tokens.length, created: unixSeconds(), sealed },
      transcript: {
        name: record.name,
        turns: turns.map(({ number, messages, tokens: end, finish, created }) => ({ number, messages, tokens: end, finish, created })),
        stateTokens: state === null ? 0 : (newest?.snapshotTokens ?? 0),
        ...(hasOpening ? { opening: inFile(begun) } : {}),
      },
      tokens,
      state,
      version: versionOfFile(turns, hasOpening),
    };
    return { ok: true, value: { file: sealSessionFile(content, key) } };
  } catch (cause) {
    if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
    throw cause;
  }
}

/** Without it, whoever imports the file reads the conversation again. */
async function stateOf(
  environment: SessionEnvironment,
  tenant: TenantId,
  { snapshot, snapshotTokens }: StoredTurn,
): Promise<ReadableStream<Uint8Array> | null> {
  try {
    const opened = await storeOf(environment, tenant).open(snapshot ?? "", snapshotTokens);
    release(opened);
    return opened.ok ? opened.value.bytes : null;
  } catch (cause) {
    logLine("error", "snapshot_store_failed", { step: "export", cause: describeCause(cause) });
    return null;
  }
}

export async function importSession(
  environment: SessionEnvironment,
  tenant: TenantId,
  file: ReadableStream<Uint8Array>,
  passphrase: string | null,
): Promise<Outcome<SessionFacts>> {
  try {
    const content = await openSessionFile(file, ({ sealed }) =>
      passphrase === null ? tenantKey(environment.STATE_KEYS, tenant, sealed) : passphraseKey(passphrase, sealed),
    );
    const { version, model } = await modelOfFile(environment, content.header);
    const { name, turns, stateTokens, opening: begun } = checked(content, model.tokenizer.vocabularySize);
    const record = { ...(await newRecord(environment, tenant, "session", version, name)), ...begun };
    const last = turns.at(-1);
    let snapshot: string | null = null;
    const store = storeOf(environment, tenant);
    if (content.state !== null && last !== undefined && stateTokens > 0) {
      // Nothing is believed of a state before all of its file has been opened.
      const kept = await keepState(store, record, { number: last.number, snapshotTokens: stateTokens }, content.state);
      if (kept?.ok === false && kept.failure.code === "quota_exceeded") return kept;
      if (kept?.ok !== true) throw new ServiceError(snapshotInvalid("The state in the session file is not valid."));
      snapshot = kept.value.id;
    }
    const stored = turns.map((one): StoredTurn => ({
      ...one,
      stream: "",
      snapshot: one === last ? snapshot : null,
      snapshotTokens: one === last && snapshot !== null ? stateTokens : 0,
    }));
    const copy = { turns: linesOfTurns(stored), tokens: content.tokens };
    const made = await sessionAt(environment, tenant, record.id).create(record, copy);
    if (!made.ok) await releaseOwned(store, record.id, ownersOf(record.id));
    return made;
  } catch (cause) {
    await file.cancel().catch(() => undefined);
    if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
    throw cause;
  }
}

interface ModelOfFile {
  readonly version: ModelVersion;
  readonly model: ServedModel;
}

/** The model that the file is of, which this deployment has or a replica serves. @throws ServiceError where there is none. */
async function modelOfFile(environment: SessionEnvironment, { model: digest, tokenizer }: ModelIdentity): Promise<ModelOfFile> {
  const cards = (await catalog(environment)).map(({ card }) => card);
  const readable = cards.filter(({ tokenizerSha256 }) => tokenizerSha256 === tokenizer);
  const own = readable.find(({ sha256 }) => sha256 === digest);
  if (own !== undefined)
    return { version: { id: own.id, digest, tokenizerDigest: tokenizer }, model: await modelNamed(environment, own.id) };
  const pooled = readable.filter(({ sha256 }) => sha256 === null);
  const served = pooled.length === 0 ? [] : await fromPool(environment.POOL.models());
  const found = served.find((one) => one.digest === digest && one.tokenizerDigest === tokenizer && pooled.some(({ id }) => id === one.id));
  if (found !== undefined) return { version: versionOf(found), model: await modelNamed(environment, found.id) };
  const ids = cards.map(({ id }) => `'${id}'`).join(", ");
  throw new ServiceError(snapshotInvalid(`The session file was made with another model than those served here: ${ids}.`));
}

/** Whoever sealed it knew the key, which is no reason to believe it. */
function checked({ transcript: value, tokens }: FileContent, vocabulary: number): z.output<typeof transcript> {
  const parsed = transcript.safeParse(value);
  const refuse = (what: string) => new ServiceError(snapshotInvalid(`The session file is not valid: ${what}.`));
  if (!parsed.success)
    throw refuse(`${parsed.error.issues[0]?.path.join(".") ?? "its transcript"}: ${parsed.error.issues[0]?.message ?? ""}`);
  const { turns, stateTokens } = parsed.data;
  const ends = turns.map(({ tokens: end }) => end);
  const numbers = turns.map(({ number }) => number);
  const first = numbers[0] ?? 1;
  const gap = numbers.findIndex((number, at) => number !== first + at);
  if (first > 1 || gap !== -1)
    throw refuse(
      `turns.${String(Math.max(gap, 0))}.number: turns must be numbered one after another, a document 0 and the first turn 1; it is ${String(numbers[Math.max(gap, 0)])}`,
    );
  const rises = (values: readonly number[]) => values.every((one, at) => at === 0 || one > (values[at - 1] ?? 0));
  if (!rises(ends) || (ends.at(-1) ?? 0) !== tokens.length) throw refuse("its turns must follow one another to its last token");
  const { firstPromptTokens = 0 } = parsed.data.opening ?? {};
  if (firstPromptTokens > tokens.length) throw refuse(`it begins with ${String(firstPromptTokens)} of ${String(tokens.length)} tokens`);
  if (stateTokens > tokens.length) throw refuse(`its state has read ${String(stateTokens)} of ${String(tokens.length)} tokens`);
  const outside = tokens.find((id) => id >= vocabulary);
  if (outside !== undefined) throw refuse(`token ${String(outside)} is outside the vocabulary of ${String(vocabulary)}`);
  return parsed.data;
}

function storeOf(environment: SessionEnvironment, tenant: TenantId): SnapshotStore {
  return reached<SnapshotStore>(environment.TENANT_OBJECT.getByName(tenant));
}
