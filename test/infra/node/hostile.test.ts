/** The table of hostile files, as `npx spikingbrain` and `npm start` read them: refused in words, and in little memory. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { readGguf } from "../../../infra/local/gguf/layout.ts";
import { readGgufFacts } from "../../../infra/local/gguf/metadata.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { inspectModel } from "../../../infra/node/engine-package.ts";
import { readStateFile } from "../../../infra/node/state-file.ts";
import type { FileHeader } from "../../../workers/session-file/header.ts";
import { openSessionFile } from "../../../workers/session-file/session-file.ts";
import { passphraseKey } from "../../../workers/session-file/passphrase-key.ts";
import { hostileFiles, soundFile, type HostileFile } from "../support/hostile-files.ts";

const folder = mkdtempSync(join(tmpdir(), "hostile-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function placed(content: Buffer): string {
  const path = join(folder, "file");
  writeFileSync(path, content);
  return path;
}

const seen = (files: readonly HostileFile[], ...stages: HostileFile["stage"][]) =>
  files.filter(({ stage }) => stages.includes(stage)).map((file) => [file.name, file] as const);

/** The message of what `read` throws. */
async function refusal(read: () => unknown): Promise<string> {
  try {
    await read();
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
  throw new Error("it was taken");
}

function expectSaid(message: string, { says }: HostileFile): void {
  for (const words of says) expect(message).toContain(words);
}

describe("a GGUF", () => {
  const files = hostileFiles("gguf", "model.gguf");

  it("that is sound is taken", async () => {
    const path = placed(soundFile("model.gguf"));
    expect(await inspectModel(path, [64])).toMatchObject({ name: "sound", layers: 3 });
    expect(await readGgufFacts(path)).toMatchObject({ contextLength: 64, form: { window: 3 } });
    expect(readGguf(soundFile("model.gguf"), path).tensors).toHaveLength(29);
  });

  it.each(seen(files, "header", "config"))("is refused by the engine's inspector: %s", async (_, file) => {
    expectSaid(await refusal(() => inspectModel(placed(file.content), [64])), file);
  });

  it.each(seen(files, "header", "data"))("is refused by what reads it for the gateway and for a delta: %s", async (_, file) => {
    const path = placed(file.content);
    for (const message of [await refusal(() => readGgufFacts(path)), await refusal(() => readGguf(file.content, path))]) {
      expect(message).toContain(`${path} cannot be read as GGUF`);
      expectSaid(message, file);
    }
  });
});

describe("a state file", () => {
  const files = hostileFiles("state", "state.sbst");

  it("that is sound is taken", async () => {
    expect(await readStateFile(placed(soundFile("state.sbst")))).toMatchObject({
      tokens: 5,
      bytes: 280,
      groups: [{ tokens: 2 }, { tokens: 5 }],
    });
  });

  it.each(seen(files, "header"))("is refused: %s", async (_, file) => {
    const path = placed(file.content);
    const message = await refusal(() => readStateFile(path));
    expect(message).toContain(`"${path}" is no whole state file`);
    expectSaid(message, file);
  });

  it.each(["144 bytes that claim 2^30 tokens", "1024 groups that claim 2^30 tokens each"])(
    "takes the command no memory: %s",
    async (name) => {
      const content = files.find((file) => file.name === name)?.content ?? Buffer.alloc(0);
      const path = placed(content);
      const env = { ...process.env, NODE_OPTIONS: "--max-old-space-size=48" };
      const program = [inRepository("infra/node/spikingbrain.mjs"), "snapshot", "inspect", path];
      const { code, stdout, stderr } = await promisify(execFile)(process.execPath, program, { env }).then(
        (output) => ({ code: 0, ...output }),
        (error: unknown) => error as { readonly code: number; readonly stdout: string; readonly stderr: string },
      );
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^".*" is no whole state file\. Its header tells of \d+ bytes; it has \d+\.\n$/);
    },
  );
});

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A session file with the sound one's header and one chunk that holds `plain`. */
async function sealed(plain: Buffer): Promise<Buffer> {
  const sound = soundFile("session.sbsf");
  const header = sound.subarray(0, 12 + sound.readUInt32LE(8));
  const { sealed: by } = JSON.parse(header.subarray(12).toString()) as FileHeader;
  const [iv, bound] = [Buffer.alloc(12, 3), Buffer.from(await crypto.subtle.digest("SHA-256", header))];
  const algorithm = { name: "AES-GCM", iv, additionalData: Buffer.concat([bound, u32(0), Buffer.of(1)]) };
  const cipher = Buffer.from(await crypto.subtle.encrypt(algorithm, await passphraseKey("sesame", by), plain));
  return Buffer.concat([header, u32(cipher.length), iv, cipher]);
}

describe("a session file", () => {
  const open = (content: Buffer) => openSessionFile(new Blob([content]).stream(), ({ sealed }) => passphraseKey("sesame", sealed));

  it("that is sound is taken", async () => {
    const { transcript, tokens, state } = await open(soundFile("session.sbsf"));
    expect(transcript).toEqual({ name: "sound" });
    expect([...tokens]).toEqual([1, 2, 3, 4, 1]);
    expect(Buffer.from(await new Response(state).arrayBuffer())).toEqual(soundFile("state.sbst"));
  });

  // What is sealed may lie too: whoever knows the passphrase can write it.
  it.each([
    ["a transcript of 2^32 - 1 bytes", u32(2 ** 32 - 1), "its transcript may have 8388608 bytes"],
    ["a transcript that goes on past the file", u32(1 << 22), "it must have"],
    ["a transcript that is no JSON", Buffer.concat([u32(4), Buffer.from("{[{[")]), "its transcript is not JSON"],
    ["2^32 - 1 tokens", Buffer.concat([u32(4), Buffer.from("null"), u32(2 ** 32 - 1)]), "it must hold the 5 tokens"],
    [
      "fewer tokens than its header names",
      Buffer.concat([u32(4), Buffer.from("null"), u32(4), Buffer.alloc(16)]),
      "it must hold the 5 tokens",
    ],
    ["tokens that end before they are all", Buffer.concat([u32(4), Buffer.from("null"), u32(5), Buffer.alloc(19)]), "it must have"],
    ["nothing", Buffer.alloc(0), "it must have"],
  ])("is refused where it holds %s", async (_, plain, words) => {
    expect(await refusal(async () => open(await sealed(plain)))).toContain(words);
  });

  it.each(seen(hostileFiles("session", "session.sbsf"), "header"))("is refused: %s", async (_, file) => {
    expectSaid(await refusal(() => open(file.content)), file);
  });
});
