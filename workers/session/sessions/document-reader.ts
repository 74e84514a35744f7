/**
 * Reads a document into a state while it is uploaded: text becomes tokens as it comes, tokens become states part by part. All of it is
 * written down as it goes, so that a cut upload, a lost object or a dead engine costs one part at the most.
 */
import { fromBase64, toBase64 } from "../../encoding/base64.ts";
import type { ModelVersion } from "../../contracts/model-version.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import type { IngestProgress, SessionFacts } from "../../contracts/session.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { modelOfVersion } from "../../models/served-model.ts";
import { askPool } from "../generation/pool.ts";
import type { SessionEnvironment } from "../environment.ts";
import { conflict, contextNotFound, documentTooLarge, internalError, invalidRequest } from "../failures.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { releaseOwned } from "../snapshots/release-owned.ts";
import { ownerOf } from "./contract.ts";
import { DocumentText } from "./document-text.ts";
import { mostDocumentTokens } from "./limits.ts";
import { partTokens, readPart } from "../generation/read-tokens.ts";
import { unixSeconds, type RecordRow, type SessionRecord, type UploadRecord } from "./record.ts";
import type { TokenLog } from "./token-log.ts";
import type { TurnRows } from "./turn-rows.ts";
import { pause, within } from "../../waiting/within.ts";
import { joined } from "../../encoding/joined.ts";

/** Of the document, in its transcript. */
const previewCharacters = 500;
/** An alarm goes on with what was cut off. */
const continueMilliseconds = 20_000;
const followMilliseconds = 250;
/** An upload that brings nothing for so long has broken off. */
const silenceMilliseconds = 60_000;
/** No character of UTF-8 begins with a higher one. */
const lastFirstByte = 0xf4;

export interface DocumentDependencies {
  readonly storage: DurableObjectStorage;
  readonly environment: SessionEnvironment;
  readonly record: RecordRow;
  readonly turns: TurnRows;
  readonly tokens: TokenLog;
  readonly facts: () => Promise<SessionFacts>;
  /** Why the context may not grow by so many bytes. */
  readonly admit: (record: SessionRecord, added: number) => Promise<ServiceFailure | undefined>;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

export const newUpload: UploadRecord = {
  stage: "uploading",
  whole: false,
  receivedBytes: 0,
  halfCharacter: "",
  pending: "",
  readTokens: 0,
  pieces: 0,
  snapshot: null,
  preview: "",
  length: 0,
  failure: null,
};

export class DocumentReader {
  readonly #dependencies: DocumentDependencies;
  readonly #abort = new AbortController();
  #reading: Promise<void> | undefined;
  /** Tokens that the engine has read of a part whose state is not kept yet. */
  #underWay = 0;
  /** The upload that is under way. */
  #append: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;

  constructor(dependencies: DocumentDependencies) {
    this.#dependencies = dependencies;
  }

  /** Whether it is at work, or will go on by alarm. */
  get isReading(): boolean {
    return this.#reading !== undefined || this.#upload()?.stage === "reading";
  }

  progress(): IngestProgress | undefined {
    const upload = this.#upload();
    if (upload === undefined) return undefined;
    const { stage, receivedBytes, readTokens, failure } = upload;
    return {
      stage,
      receivedBytes,
      tokens: this.#dependencies.tokens.length,
      readTokens: Math.max(readTokens, this.#underWay),
      ...(failure === null ? {} : { failure }),
    };
  }

  /** Why nothing can start from it yet. */
  unready(): ServiceFailure | undefined {
    const upload = this.#upload();
    if (upload === undefined || upload.stage === "ready") return undefined;
    return conflict(`The context is not ready: it is ${upload.stage}.`, "context_id");
  }

  /** For good. Resolves once nothing is written any more. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }

  async append(offset: number, text: ReadableStream<Uint8Array>, last: boolean): Promise<Outcome<SessionFacts>> {
    const upload = this.#upload();
    const refuse = async (failure: ServiceFailure): Promise<Outcome<SessionFacts>> => {
      await text.cancel(failure.message).catch(() => undefined);
      return { ok: false, failure };
    };
    if (upload === undefined) return await refuse(invalidRequest("Text can be added to a context only."));
    const misplaced = this.#misplaced(offset);
    if (misplaced !== undefined) return await refuse(misplaced);
    // Who goes on where the text ends takes the place of a request whose client may be long gone: nobody can tell from here.
    while (this.#append !== undefined) {
      this.#append.abort.abort(new ServiceError(conflict("Another request has continued the text.")));
      await this.#append.ended;
    }
    const overtaken = this.#misplaced(offset);
    if (overtaken !== undefined) return await refuse(overtaken);
    const { promise: ended, resolve } = Promise.withResolvers<undefined>();
    const abort = new AbortController();
    this.#append = { abort, ended: ended.then(() => undefined) };
    try {
      await this.#take(text, abort.signal);
      // What has failed is tried again by whoever goes on with it, were it with nothing.
      if (upload.stage === "failed") this.#change({ stage: "uploading", failure: null });
      if (last || upload.whole) await this.#end();
      return { ok: true, value: await this.#dependencies.facts() };
    } catch (cause) {
      if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
      logLine("error", "upload_broke_off", { cause: describeCause(cause) });
      return { ok: false, failure: invalidRequest("The upload ended before it was whole; 'received_bytes' says where to go on.") };
    } finally {
      this.#append = undefined;
      resolve(undefined);
      this.#kick();
    }
  }

  /** Goes on where reading was cut off. */
  async continue(): Promise<void> {
    this.#kick();
    await this.#reading;
  }

  follow(): Outcome<ReadableStream<Uint8Array>> {
    if (this.#upload() === undefined) return { ok: false, failure: invalidRequest("Only contexts are read from documents.") };
    const encoder = new TextEncoder();
    let told = "";
    let ended = false;
    const next = async (): Promise<string> => {
      const facts = await this.#dependencies.facts();
      ended = facts.ingest?.stage === "ready" || facts.ingest?.stage === "failed";
      const line = `${JSON.stringify(facts)}\n`;
      if (line !== told) return (told = line);
      await pause(followMilliseconds);
      return "\n";
    };
    const stream = new ReadableStream(
      {
        type: "bytes",
        async pull(controller: ReadableByteStreamController) {
          if (ended) {
            controller.close();
            controller.byobRequest?.respond(0);
          } else controller.enqueue(encoder.encode(await next()));
        },
      },
      { highWaterMark: 0 },
    );
    return { ok: true, value: stream };
  }

  #upload(): UploadRecord | undefined {
    return this.#dependencies.record.get()?.upload ?? undefined;
  }

  #change(change: Partial<UploadRecord>): UploadRecord {
    const record = this.#dependencies.record.get();
    if (record?.upload === undefined || record.upload === null) throw new Error("no upload");
    const upload = { ...record.upload, ...change };
    this.#dependencies.record.put({ ...record, upload, updated: unixSeconds() });
    return upload;
  }

  /** Why text can't be added there. */
  #misplaced(offset: number): ServiceFailure | undefined {
    const upload = this.#upload();
    if (upload === undefined) return contextNotFound();
    if (upload.stage === "reading" || upload.stage === "ready") return textHasEnded(upload.stage);
    return offset === upload.receivedBytes
      ? undefined
      : conflict(`'offset': must be ${String(upload.receivedBytes)}, where the text ends (got ${String(offset)}).`, "offset");
  }

  async #take(text: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    for await (const chunk of chunksOf(text, signal)) {
      const upload = this.#upload();
      if (upload === undefined) throw new ServiceError(contextNotFound());
      if (chunk.length === 0) continue;
      if (upload.whole) throw new ServiceError(textHasEnded("whole"));
      const half = fromBase64(upload.halfCharacter);
      const bytes = half.length === 0 ? chunk : joined([half, chunk]);
      const whole = wholeCharacters(bytes);
      const decoded = this.#decode(bytes.subarray(0, whole), upload.receivedBytes - half.length);
      const document = new DocumentText(upload.pending);
      await this.#write(document.push(decoded), {
        receivedBytes: upload.receivedBytes + chunk.length,
        halfCharacter: toBase64(bytes.subarray(whole)),
        pending: document.pending,
        preview: upload.preview + beginning(decoded, previewCharacters - upload.preview.length),
        length: upload.length + decoded.length,
      });
    }
  }

  async #end(): Promise<void> {
    const upload = this.#upload();
    if (upload === undefined) return;
    if (upload.halfCharacter !== "") throw new ServiceError(invalidRequest("The text ends within a character of UTF-8.", "text"));
    if (upload.length === 0) throw new ServiceError(invalidRequest("The text is empty.", "text"));
    // Should this object be lost right after it has said that it has everything.
    await this.#dependencies.storage.setAlarm(Date.now() + continueMilliseconds);
    await this.#write(upload.pending, { pending: "", whole: true, stage: "reading" });
  }

  #decode(bytes: Uint8Array, at: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new ServiceError(invalidRequest(`The text is not UTF-8 in the bytes from ${String(at)} on.`, "text"));
    }
  }

  /** Text becomes tokens together with what is noted of it, or not at all. */
  async #write(text: string, change: Partial<UploadRecord>): Promise<void> {
    const { tokenizer, chatTemplate } = await modelOfVersion(this.#dependencies.environment, this.#record().model);
    const { storage, tokens, admit } = this.#dependencies;
    // What the template says before a document may grow together with its first word.
    const isFirst = tokens.length === 0 && chatTemplate !== null;
    const added = text === "" ? new Uint32Array() : isFirst ? chatTemplate.renderOpenSystem(text) : tokenizer.encode(text);
    const refusal = await admit(this.#record(), added.byteLength + JSON.stringify(change).length);
    if (refusal !== undefined) throw new ServiceError(refusal);
    storage.transactionSync(() => {
      tokens.append(added);
      if (tokens.length > mostDocumentTokens) throw new ServiceError(documentTooLarge(mostDocumentTokens));
      this.#change(change);
    });
    this.#kick();
  }

  #kick(): void {
    if (this.#reading !== undefined || this.#abort.signal.aborted) return;
    this.#reading = this.#read().finally(() => {
      this.#reading = undefined;
    });
    this.#dependencies.waitUntil(this.#reading);
  }

  async #read(): Promise<void> {
    const { storage, tokens, environment } = this.#dependencies;
    try {
      const { model } = this.#record();
      const most = await partTokens(environment.POOL, model);
      for (let upload = this.#upload(); upload !== undefined; upload = this.#upload()) {
        const left = tokens.length - upload.readTokens;
        const isWhole = upload.stage === "reading";
        if (this.#abort.signal.aborted || upload.stage === "ready" || upload.stage === "failed" || (!isWhole && left < most)) return;
        if (left === 0) {
          this.#ready(upload);
          return;
        }
        await storage.setAlarm(Date.now() + continueMilliseconds);
        await this.#readOne(upload, model, Math.min(left, most));
      }
    } catch (cause) {
      if (this.#abort.signal.aborted) return;
      const failure = cause instanceof ServiceError ? cause.failure : internalError("The document could not be read.");
      logLine("error", "document_not_read", { code: failure.code, cause: describeCause(cause) });
      if (!failure.retryable && this.#upload() !== undefined) this.#change({ stage: "failed", failure });
      // What may succeed later is tried again by alarm.
      else await storage.setAlarm(Date.now() + continueMilliseconds);
    }
  }

  async #readOne(upload: UploadRecord, model: ModelVersion, count: number): Promise<void> {
    const { tokens, environment } = this.#dependencies;
    const { id, tenant, lastBackend } = this.#record();
    const store = environment.TENANT_OBJECT.getByName(tenant) as unknown as SnapshotStore;
    const base = { snapshot: upload.snapshot, tokens: upload.readTokens };
    const isLast = upload.stage === "reading" && upload.readTokens + count === tokens.length;
    const read = await readPart(base, tokens.read(upload.readTokens, upload.readTokens + count), {
      ...{
        askPool: askPool(environment, { tenant, priority: "background", session: id, place: null, stateAt: lastBackend ?? null }),
        store,
        model,
        textBefore: (count: number) => tokens.read(0, count),
        work: "document",
        session: id,
        owner: ownerOf(id, 0),
      },
      ...{ number: upload.pieces, isLast, signal: this.#abort.signal },
      onRead: (read) => {
        this.#underWay = read;
      },
    });
    this.#underWay = 0;
    if (this.#abort.signal.aborted) return;
    if (read.outcome === "not kept") throw new ServiceError(read.failure);
    if (read.outcome === "base lost") {
      this.#change({ snapshot: null, readTokens: 0 });
      return;
    }
    this.#change({ snapshot: read.base.snapshot, readTokens: read.base.tokens, pieces: upload.pieces + 1 });
    if (read.backend !== null) this.#dependencies.record.change({ lastBackend: read.backend });
    await releaseOwned(store, id, read.letGo);
  }

  #ready(upload: UploadRecord): void {
    const { turns, tokens } = this.#dependencies;
    const { preview, length, snapshot, readTokens } = upload;
    const rest = length > preview.length ? ` … (${String(length)} characters)` : "";
    turns.put({
      number: 0,
      messages: [{ role: "system", content: preview + rest }],
      tokens: tokens.length,
      finish: "stop",
      created: unixSeconds(),
      stream: "",
      snapshot,
      snapshotTokens: readTokens,
    });
    this.#change({ stage: "ready", preview: "" });
  }

  #record(): SessionRecord {
    const record = this.#dependencies.record.get();
    if (record === undefined) throw new Error("no session");
    return record;
  }
}

function nothingComes(): never {
  throw new Error("nothing has come for long");
}

/** @throws the abort's reason, what the text breaks with, or an error where nothing has come for long. */
async function* chunksOf(text: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = text.getReader();
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });
  aborted.catch(() => undefined);
  try {
    while (true) {
      const part = await within(Promise.race([reader.read(), aborted]), silenceMilliseconds, nothingComes);
      if (part.done) return;
      yield part.value;
    }
  } finally {
    await reader.cancel("no more is read").catch(() => undefined);
  }
}

function textHasEnded(stage: string): ServiceFailure {
  return conflict(`The text has ended: the context is ${stage}.`);
}

/** So many UTF-16 units of a text, and one more where they would end within a character. */
function beginning(text: string, units: number): string {
  const cut = Math.max(0, units);
  return text.slice(0, text.slice(0, cut).isWellFormed() ? cut : cut + 1);
}

/** Bytes that end with a whole character. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return bytes.length;
    if (byte > lastFirstByte) return bytes.length;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return back < needed ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}
