/** The table of addresses: what a replica may have, and every way to another place. */
import { describe, expect, test } from "vitest";
import { addressProblem, addressRules, type AddressRules } from "../../../../workers/pool/registry/address.ts";
import { Registry } from "./support.ts";

const rules: AddressRules = {
  hosts: ["gpu.example.com", "*.pool.example.com", "xn--gp-wka.example.com"],
  loopback: false,
  isPrivate: false,
};
const development: AddressRules = { hosts: [], loopback: true, isPrivate: false };

test.each([
  "https://gpu.example.com",
  "https://a.pool.example.com",
  "https://a.b.pool.example.com",
  "https://a-1.pool.example.com",
  "https://xn--gp-wka.example.com",
])("%s may be called", (address) => {
  expect(addressProblem(address, rules)).toBeUndefined();
});

const cloud = "have a host name with a dot in it, and no IP address";
const unnamed = "have a host that POOL_HOSTS names";
const plain = "be https:// and a host name in small letters, and nothing else";
const https = "begin with https://";
const ascii = "have only printable ASCII characters";
const named = "have no name and no password before its host";

describe("an address must", () => {
  test.each([
    // Addresses of machines, in every spelling.
    ["http://169.254.169.254", https],
    ["https://169.254.169.254", cloud],
    ["https://169.254.169.254/latest/meta-data/", cloud],
    ["https://[::1]", cloud],
    ["https://[::ffff:127.0.0.1]", cloud],
    ["https://[::ffff:7f00:1]", cloud],
    ["https://[fd00:ec2::254]", cloud],
    ["https://[fe80::1%25eth0]", "be a URL"],
    ["https://::ffff:127.0.0.1", "be a URL"],
    ["https://0x7f000001", cloud],
    ["https://0x7f.0.0.1", cloud],
    ["https://017700000001", cloud],
    ["https://2130706433", cloud],
    ["https://127.1", cloud],
    ["https://0", cloud],
    ["https://0.0.0.0", cloud],
    ["https://10.0.0.1", cloud],
    ["https://192.168.1.1", cloud],
    ["https://127.0.0.1.", cloud],
    ["https://127。0。0。1", ascii],
    ["https://１２７.0.0.1", ascii],
    // Names that a network, a cloud or a machine answers itself.
    ["https://localhost", cloud],
    ["https://localhost.", "have no dot at its host's end"],
    ["https://LOCALHOST", cloud],
    ["https://a.localhost", "have no host that ends in .localhost"],
    ["https://metadata.google.internal", "have no host that ends in .internal"],
    ["https://gpu.internal", "have no host that ends in .internal"],
    ["https://printer.local", "have no host that ends in .local"],
    ["https://1.0.0.127.in-addr.arpa", "have no host that ends in .arpa"],
    // Hosts that nobody named, and those that look like one that is.
    ["https://example.com", unnamed],
    ["https://pool.example.com", unnamed],
    ["https://evilpool.example.com", unnamed],
    ["https://gpu.example.com.evil.net", unnamed],
    ["https://gpu.example.co", unnamed],
    ["https://127.0.0.1.nip.io", unnamed],
    ["https://gpu.exаmple.com", ascii],
    ["https://xn--gpu-example-com.net", unnamed],
    ["https://xn--gpu-yka.example.com", unnamed],
    ["https://gpu.example.com.", "have no dot at its host's end"],
    ["https://.gpu.example.com", cloud],
    ["https://gpu..example.com", cloud],
    ["https://-.pool.example.com", cloud],
    ["https://a_b.pool.example.com", cloud],
    // Other ways to call, and other places of the same host.
    ["http://gpu.example.com", https],
    ["file:///etc/passwd", https],
    ["ftp://gpu.example.com", https],
    ["ws://gpu.example.com", https],
    ["data:text/plain,x", https],
    ["javascript:alert(1)", https],
    ["gopher://gpu.example.com", https],
    ["blob:https://gpu.example.com/x", https],
    ["//gpu.example.com", "be a URL"],
    ["gpu.example.com", "be a URL"],
    ["", ascii],
    ["https://", "be a URL"],
    ["https:gpu.example.com", plain],
    ["https:/gpu.example.com", plain],
    ["https:///gpu.example.com", plain],
    ["https:\\\\gpu.example.com", plain],
    ["HTTPS://gpu.example.com", plain],
    ["https://GPU.example.com", plain],
    ["https://gpu%2eexample.com", plain],
    ["https://gpu.example.com:443", plain],
    ["https://gpu.example.com:", plain],
    ["https://gpu.example.com:8443", "have no port (it is 8443)"],
    ["https://gpu.example.com:22", "have no port (it is 22)"],
    ["https://gpu.example.com:0", "have no port (it is 0)"],
    ["https://gpu.example.com:99999", "be a URL"],
    ["https://gpu.example.com/", plain],
    ["https://gpu.example.com/invocations", plain],
    ["https://gpu.example.com?x", plain],
    ["https://gpu.example.com#x", plain],
    ["https://gpu.example.com\\@169.254.169.254", named],
    ["https://user@gpu.example.com", named],
    ["https://user:password@gpu.example.com", named],
    ["https://@gpu.example.com", named],
    ["https://gpu.example.com@evil.net", named],
    ["https://gpu.example.com\t", ascii],
    [" https://gpu.example.com", ascii],
    ["https://gpu.exam\nple.com", ascii],
    ["https://gpu.example.com\0", ascii],
    [`https://${"a".repeat(300)}.pool.example.com`, "have at most 300 characters"],
    [`https://${"a".repeat(64)}.pool.example.com`, cloud],
    ["http://127.0.0.1:8000", https],
  ])("%j: %s", (address, problem) => {
    expect(addressProblem(address, rules)).toContain(problem);
  });
});

test("this machine's own addresses are taken where development allows them, in one spelling", () => {
  for (const address of ["http://127.0.0.1:8000", "http://[::1]:8000", "http://127.0.0.1"])
    expect(addressProblem(address, development)).toBeUndefined();
  for (const address of [
    ...["http://localhost:8000", "http://127.1:8000", "http://0x7f000001:8000", "http://127.0.0.1:8000/", "http://127.0.0.1:80"],
    ...["http://127.0.0.2:8000", "http://0.0.0.0:8000", "http://[::ffff:127.0.0.1]:8000", "http://10.0.0.1:8000", "https://127.0.0.1:8000"],
    ...["http://127.0.0.1:8000@evil.net", "http://x@127.0.0.1:8000", "http://127.0.0.1:99999", "https://gpu.example.com"],
  ])
    expect([address, addressProblem(address, development)]).toEqual([address, expect.any(String)]);
});

describe("in a private network", () => {
  const inside: AddressRules = { ...rules, isPrivate: true };

  test("HTTP may be plain, and a server may have a port that is no system's own", () => {
    for (const address of [
      ...["http://gpu.example.com", "http://a.pool.example.com:8000", "https://gpu.example.com", "https://gpu.example.com:8443"],
      "http://gpu.example.com:1024",
    ])
      expect([address, addressProblem(address, inside)]).toEqual([address, undefined]);
  });

  const either = "be https:// or http:// and a host name in small letters, and nothing else";
  test.each([
    ["http://169.254.169.254", cloud],
    ["http://10.0.0.1:8000", cloud],
    ["http://127.0.0.1:8000", cloud],
    ["http://localhost:8000", cloud],
    ["http://metadata.google.internal", "have no host that ends in .internal"],
    ["http://example.com", unnamed],
    ["http://gpu.example.com.evil.net:8000", unnamed],
    ["http://gpu.example.com:22", "have no port, or one from 1024 on (it is 22)"],
    ["https://gpu.example.com:80", "have no port, or one from 1024 on (it is 80)"],
    ["http://gpu.example.com:80", either],
    ["http://gpu.example.com:08000", either],
    ["http://gpu.example.com/x", either],
    ["http://user@gpu.example.com:8000", named],
    ["ftp://gpu.example.com", "begin with https:// or http://"],
    ["ws://gpu.example.com:8000", "begin with https:// or http://"],
  ])("%j must still %s", (address, problem) => {
    expect(addressProblem(address, inside)).toContain(problem);
  });

  test("whose binding is what says so", async () => {
    const address = "http://seven-1.pool.example.com:8000";
    const bound = new Registry();
    await bound.tell({ address });
    expect(await bound.replicas()).toMatchObject([{ address }]);
    const unbound = new Registry({ POOL_NETWORK: undefined } as object);
    expect(await unbound.refusal({ address })).toMatchObject({ param: "address", message: "'address': must begin with https://." });
  });
});

test("a path may follow where the deployment's own list has it, in one spelling", () => {
  const problem = (path: string) => addressProblem(`https://gpu.example.com${path}`, rules, true);
  for (const path of ["", "/openai", "/openai/deployments/a.b_c~1"]) expect([path, problem(path)]).toEqual([path, undefined]);
  for (const path of ["/", "/a/", "//a", "/a/../b", "/./a", "/%2e%2e/a", "/a?b", "/a#b", "/a%20b", "/a\\b", "/..", "/a b"])
    expect([path, problem(path)]).toEqual([path, expect.any(String)]);
});

test("a refusal holds the host alone of an address, which may have a password", async () => {
  const registry = new Registry();
  for (const address of [
    "https://user:the-password@gpu.example.com",
    "https://gpu.example.com/the-password",
    "https://gpu.example.com?the-password",
    "the-password",
  ]) {
    const failure = await registry.refusal({ address });
    expect(failure).toMatchObject({ code: "invalid_request", param: "address", status: 400 });
    expect(failure.message).toMatch(/^'address': must /);
    expect(failure.message).not.toContain("the-password");
  }
  expect(await registry.names()).toEqual([]);
});

test.each([
  "*",
  "*.com",
  "com",
  "localhost",
  "10.0.0.1",
  "gpu.internal",
  "*.local",
  "gpu.example.com.",
  "GPU.example.com",
  "https://gpu.example.com",
  "a..b",
  "gpu.example.com:443",
  ",",
])("POOL_HOSTS cannot be %j", (value) => {
  expect(() => addressRules({ POOL_HOSTS: value })).toThrow(/^POOL_HOSTS must .*; it is "/);
});

test("POOL_LOOPBACK is allow or refuse, and nothing else allows", () => {
  expect(addressRules({}).loopback).toBe(false);
  expect(addressRules({ POOL_LOOPBACK: "refuse" }).loopback).toBe(false);
  expect(addressRules({ POOL_LOOPBACK: "allow" }).loopback).toBe(true);
  for (const value of ["true", "1", "Allow", "yes"])
    expect(() => addressRules({ POOL_LOOPBACK: value })).toThrow("POOL_LOOPBACK must be one of allow, refuse");
});
