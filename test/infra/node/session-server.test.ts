/** What `spikingbrain snapshot export` and `import` say where no server of sessions answers. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { inRepository } from "../../../infra/local/paths.ts";

/** Standard error of a command that fails. */
async function refusal(url: string): Promise<string> {
  const command = [inRepository("infra/node/spikingbrain.mjs"), "snapshot", "export", "sess_0", "/dev/null", "--url", url, "--key", "k"];
  const failed = await promisify(execFile)(process.execPath, command).then(
    () => undefined,
    (error: unknown) => error,
  );
  return (failed as { readonly stderr: string }).stderr.trim();
}

async function whileServing<T>(status: number, body: string, work: (url: string) => Promise<T>): Promise<T> {
  const server = createServer((_request, response) => response.writeHead(status).end(body)).listen(0, "127.0.0.1");
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

it.each(["<html>Bad Gateway</html>", "null", '{"detail":"no"}'])("says that %s is no answer of this API", async (body) => {
  const [said, url] = await whileServing(502, body, async (url) => [await refusal(url), url] as const);
  expect(said).toBe(`What answers at ${url} is no server of sessions: its status is 502.`);
});

it("repeats what the server says", async () => {
  const body = JSON.stringify({ error: { message: "There is no such session." } });
  expect(await whileServing(404, body, refusal)).toBe("The server refused: There is no such session.");
});
