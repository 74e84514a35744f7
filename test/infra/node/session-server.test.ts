/** What `spikingbrain snapshot export` and `import` say where no server of sessions answers. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { inRepository } from "../../../infra/local/paths.ts";

/** Standard error of a command that fails. */
async function refusal(url: string, key = "k", ...more: readonly string[]): Promise<string> {
  const session = ["snapshot", "export", "sess_0", "/dev/null", "--url", url, "--key", key, ...more];
  const command = [inRepository("infra/node/spikingbrain.mjs"), ...session];
  const failed = await promisify(execFile)(process.execPath, command).then(
    () => undefined,
    (error: unknown) => error,
  );
  return (failed as { readonly stderr: string }).stderr.trim();
}

/** `keys` collects what is sent as `authorization`. */
async function whileServing<T>(status: number, body: string, work: (url: string) => Promise<T>, keys: unknown[] = []): Promise<T> {
  const server = createServer((request, response) => {
    keys.push(request.headers.authorization);
    response.writeHead(status).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    return await work(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
  } finally {
    server.close();
  }
}

it("names the address and the reason where nothing answers", async () => {
  const gone = await whileServing(200, "", (url) => Promise.resolve(url));
  expect(await refusal(gone)).toBe(`No server answers at ${gone} (ECONNREFUSED).`);
});

it("names an address that is none", async () => {
  expect(await refusal("localhost")).toBe('--url must be a URL such as http://127.0.0.1:8787; it is "localhost".');
});

it.each([
  ["sk-one\nsk-two", "its character 7 of 13 is a line break"],
  ["sk-one\rsk-two", "its character 7 of 13 is a line break"],
  ["sk-ключ", "its character 4 of 7 is beyond Latin-1"],
])("says that %j cannot be sent, and does not tell it", async (key, found) => {
  const rule = "a header's characters are those of Latin-1, without line breaks";
  expect(await refusal("http://127.0.0.1:8787", key)).toBe(`--key cannot be sent in a header: ${rule}; ${found}.`);
});

it("sends a key without the line break at its end", async () => {
  const keys: unknown[] = [];
  await whileServing(404, "{}", (url) => refusal(url, "sk-one\r\n"), keys);
  expect(keys).toEqual(["Bearer sk-one"]);
});

it("does not tell a URL's password, or a passphrase in the place of its file's path", async () => {
  expect(await refusal("http://me:hidden@127.0.0.1:8787")).toBe(
    '--url must hold no user and no password, as the server takes nothing but --key; it is "http://…@127.0.0.1:8787".',
  );
  expect(await refusal("http://me:hidden@127.0.0.1:port")).toBe(
    '--url must be a URL such as http://127.0.0.1:8787; it is "http://…@127.0.0.1:port".',
  );
  expect(await refusal("http://127.0.0.1:8787", "k", "--passphrase-file", "a secret of mine")).toBe(
    "--passphrase-file must be the path of a file with the passphrase in it (ENOENT).",
  );
});

it.each(["<html>Bad Gateway</html>", "null", '{"detail":"no"}'])("says that %s is no answer of this API", async (body) => {
  const [said, url] = await whileServing(502, body, async (url) => [await refusal(url), url] as const);
  expect(said).toBe(`What answers at ${url} is no server of sessions: its status is 502.`);
});

it("repeats what the server says", async () => {
  const body = JSON.stringify({ error: { message: "There is no such session." } });
  expect(await whileServing(404, body, refusal)).toBe("The server refused: There is no such session.");
});
