/** Files of the model that are missing, broken or out of reach are named, with what writes them. */
import { expect, test } from "vitest";
import { failure, requestWith } from "../support/gateway-client.ts";
import { assets } from "../support/gateway-worker.ts";

const ofRequest = (path: string, answer: () => Promise<Response>) => ({
  fetch: (url: string) => {
    const asked = new URL(url).pathname;
    return asked === path ? answer() : Promise.resolve(Response.json(assets[asked] ?? null));
  },
});

test.each([
  [
    "/models.json",
    () => Promise.resolve(new Response("", { status: 404 })),
    500,
    "model_invalid",
    "/models.json is missing. `npm run setup:model`",
  ],
  ["/models.json", () => Promise.resolve(new Response("<html>")), 500, "model_invalid", "/models.json is not JSON. `npm run setup:model`"],
  [
    "/models.json",
    () => Promise.resolve(new Response("", { status: 500 })),
    502,
    "assets_unavailable",
    "/models.json could not be read: status 500",
  ],
  ["/models.json", () => Promise.reject(new Error("machine 7")), 503, "assets_unavailable", "The store of model files cannot be reached."],
  [
    "/tiny/manifest.json",
    () => Promise.resolve(new Response("", { status: 404 })),
    500,
    "model_invalid",
    "/tiny/manifest.json is missing.",
  ],
])("%s", async (path, answer, status, code, message) => {
  const response = await requestWith({ ASSETS: ofRequest(path, answer) }, "/v1/models");
  expect(response.status).toBe(status);
  const found = await failure(response);
  expect(found).toMatchObject({ code, message: expect.stringContaining(message) as string });
  expect(JSON.stringify(found)).not.toContain("machine 7");
});
