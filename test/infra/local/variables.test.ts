/** What `npm start` says of keys is what the gateway does with them. */
import { expect, test } from "vitest";
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
