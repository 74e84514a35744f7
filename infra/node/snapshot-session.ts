/** `spikingbrain snapshot export | import | open`: conversations of a server as sealed files, and the state within one. */
import { createReadStream, createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeStream } from "node:stream/web";
import { Command, type OptionValues } from "commander";
import { openSessionFile } from "../../workers/session-file/session-file.ts";
import { passphraseKey } from "../../workers/session-file/passphrase-key.ts";

interface ServerOptions extends OptionValues {
  readonly url: string;
  readonly key: string;
  readonly passphraseFile?: string;
}

const server = (command: Command): Command =>
  command
    .requiredOption("--url <url>", "the server, such as http://127.0.0.1:8787")
    .requiredOption("--key <key>", "the API key that the conversation belongs to")
    .option("--passphrase-file <file>", "seal under the passphrase in this file, to hand it over");

export const exportCommand = server(new Command("export"))
  .description("Write a session of a server as a sealed file.")
  .argument("<session>", "its id")
  .argument("<out>", "the file to write")
  .action(async (session: string, out: string, options: ServerOptions) => {
    const passphrase = await passphraseOf(options);
    const body = JSON.stringify(passphrase === undefined ? {} : { passphrase });
    const response = await call(
      options,
      `/v1/sessions/${encodeURIComponent(session)}/export`,
      { "content-type": "application/json" },
      body,
    );
    if (response.body === null) throw new Error("The server sent nothing.");
    await pipeline(Readable.fromWeb(response.body as NodeStream<Uint8Array>), createWriteStream(out, { mode: 0o600 }));
    console.log(JSON.stringify({ session, file: out }));
  });

export const importCommand = server(new Command("import"))
  .description("Give a sealed file to a server; prints the session that it has become.")
  .argument("<file>", "the sealed file")
  .action(async (file: string, options: ServerOptions) => {
    const passphrase = await passphraseOf(options);
    const headers = passphrase === undefined ? {} : { "x-spikingbrain-passphrase": encodeURIComponent(passphrase) };
    const response = await call(
      options,
      "/v1/sessions/import",
      { "content-type": "application/octet-stream", ...headers },
      await readFile(file),
    );
    console.log(await response.text());
  });

export const openCommand = new Command("open")
  .description("Open a file that a passphrase seals, and write the state within it; prints the transcript.")
  .argument("<file>", "the sealed file")
  .requiredOption("--passphrase-file <file>", "the passphrase")
  .requiredOption("--out <state>", "the state file to write")
  .action(async (file: string, options: { readonly passphraseFile: string; readonly out: string }) => {
    const passphrase = (await passphraseOf(options)) ?? "";
    const bytes = Readable.toWeb(createReadStream(file)) as unknown as ReadableStream<Uint8Array>;
    const { header, transcript, tokens, state } = await openSessionFile(bytes, ({ sealed }) => passphraseKey(passphrase, sealed));
    if (state === null) throw new Error("The file holds no state: a server reads the conversation again from its tokens.");
    await pipeline(Readable.fromWeb(state as unknown as NodeStream<Uint8Array>), createWriteStream(options.out, { mode: 0o600 }));
    console.log(JSON.stringify({ header, tokens: tokens.length, transcript, state: options.out }));
  });

async function passphraseOf({ passphraseFile }: { readonly passphraseFile?: string }): Promise<string | undefined> {
  if (passphraseFile === undefined) return undefined;
  const text = await readFile(passphraseFile, "utf8").catch((cause: unknown) => {
    // The path isn't told: whoever takes the option for the passphrase has written that.
    const reason = (cause as NodeJS.ErrnoException).code ?? "it cannot be read";
    throw new Error(`--passphrase-file must be the path of a file with the passphrase in it (${reason}).`, { cause });
  });
  return text.replace(/\r?\n$/, "");
}

async function call({ url, key }: ServerOptions, path: string, headers: Record<string, string>, body: BodyInit): Promise<Response> {
  requireServer(url);
  const request = { method: "POST", headers: { ...headers, authorization: bearer(key) }, body };
  const response = await fetch(new URL(path, url), request).catch((cause: unknown) => {
    throw new Error(`No server answers at ${url} (${reasonOf(cause)}).`, { cause });
  });
  if (response.ok) return response;
  const said = messageIn(await response.text());
  throw new Error(
    said === undefined
      ? `What answers at ${url} is no server of sessions: its status is ${String(response.status)}.`
      : `The server refused: ${said}`,
  );
}

/** @throws Error that tells no password. */
function requireServer(url: string): void {
  const shown = url.replace(/\/\/.*@/s, "//…@");
  if (!URL.canParse(url)) throw new Error(`--url must be a URL such as http://127.0.0.1:8787; it is "${shown}".`);
  const { username, password } = new URL(url);
  if (username !== "" || password !== "")
    throw new Error(`--url must hold no user and no password, as the server takes nothing but --key; it is "${shown}".`);
}

/** White space at the end, such as what a file of another system's lines leaves there, is left out. @throws Error that doesn't tell the key. */
function bearer(key: string): string {
  const sent = key.replace(/[\t\n\r ]+$/, "");
  const at = sent.search(/[\0\n\r]|[^\0-\xff]/);
  if (at < 0) return `Bearer ${sent}`;
  const found = /[\n\r]/.test(sent.charAt(at)) ? "a line break" : "beyond Latin-1";
  const rule = "a header's characters are those of Latin-1, without line breaks";
  throw new Error(`--key cannot be sent in a header: ${rule}; its character ${String(at + 1)} of ${String(sent.length)} is ${found}.`);
}

/** `fetch` says only that it failed; what failed is its cause's to say. */
function reasonOf(cause: unknown): string {
  const { code, message } = ((cause as Error).cause ?? cause) as { readonly code?: string; readonly message: string };
  return code ?? message;
}

/** Undefined where it is no error of this API. */
function messageIn(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { readonly error?: { readonly message?: string } } | null)?.error?.message;
  } catch {
    return undefined;
  }
}
