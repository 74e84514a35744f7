/** What `npm start` says of keys is what the gateway does with them. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../../infra/local/paths.ts";
import { gatewayVariables } from "../../../infra/local/variables.ts";

test.each([{}, { API_KEYS: "" }])("any key is accepted with %j", (environment) => {
  expect(gatewayVariables(environment)).toEqual({ variables: {}, isOpen: true });
});

test("keys and the rest are given on as they are", () => {
  const environment = { API_KEYS: "sk-1, sk-2", CORS_ORIGINS: "http://localhost:5173", PATH: "/bin" };
  const { API_KEYS, CORS_ORIGINS } = environment;
  expect(gatewayVariables(environment)).toEqual({ variables: { API_KEYS, CORS_ORIGINS }, isOpen: false });
});

test.each([",", " ", "sk-1,"])("nothing starts with API_KEYS=%j", (keys) => {
  expect(() => gatewayVariables({ API_KEYS: keys })).toThrow(/^API_KEYS must be keys, .*; its value, which is secret, is not\.$/);
});

test("every variable that README names and set-up does not read itself reaches the gateway", () => {
  const ofSetUp = [
    "PORT",
    "SPIKINGBRAIN_MODEL",
    "SPIKES",
    "SPIKINGBRAIN_MODEL_ID",
    "SPIKINGBRAIN_CACHE",
    "SPIKINGBRAIN_DOWNLOAD",
    "PYTHON",
  ];
  const table = readFileSync(inRepository("README.md"), "utf8").split("| environment of `npm start` |")[1]?.split("\n\n")[0] ?? "";
  const ofGateway = Array.from(table.matchAll(/^\| `([A-Z_]+)` /gm), ([, name]) => name ?? "").filter((name) => !ofSetUp.includes(name));
  const environment = { API_KEYS: "sk-one", CORS_ORIGINS: "https://one.test", KEEP_ALIVE_SECONDS: "20" };
  expect(Object.keys(gatewayVariables(environment).variables).toSorted()).toEqual(ofGateway.toSorted());
  expect(gatewayVariables(environment).variables).toEqual(environment);
});
