/** A tenant's charges: absolute, so that whatever is lost on the way counts once, and ended by their time where nobody ends them. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SessionEnvironment } from "../../../../workers/session/environment.ts";
import type { Account, Charge } from "../../../../workers/session/snapshots/account/contract.ts";
import { TenantAccount } from "../../../../workers/session/snapshots/account/tenant-account.ts";
import { sessionAt } from "../../../../workers/session/sessions/find-session.ts";
import { emptySessionBytes } from "../../../../workers/session/sessions/limits.ts";
import { newRecord } from "../../../../workers/session/sessions/session-keeper.ts";
import { lifeSeconds } from "../../../../workers/session/sessions/session-facts.ts";
import { setQuota } from "../../support/quota.ts";
import { tinyManifest, versionOf } from "../../support/tiny-tokenizer.ts";
import { bindings, inside, newTenant, objectOf, put, randomTokens, stored } from "./support.ts";

const quota = 50_000;
const hour = 3_600_000;

let tenant = newTenant();
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  setQuota(quota);
  tenant = newTenant();
});
afterEach(() => {
  vi.useRealTimers();
  setQuota(undefined);
});

const later = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);
const bytes = async () => (await objectOf(tenant).usage()).charged;
const charge = (owner: string, bytes: number, kind: Charge["kind"] = "sessions"): Charge => ({
  owner,
  kind,
  bytes,
  until: Date.now() + hour,
});
const admitted = async (one: Charge) => (await objectOf(tenant).admit(one)).ok;

test("a charge takes the place of the owner's last one, and is let go of with it", async () => {
  expect(await admitted(charge("a", 20_000))).toBe(true);
  expect(await admitted(charge("a", 20_000))).toBe(true);
  expect(await admitted(charge("a", 30_000))).toBe(true);
  await objectOf(tenant).charge(charge("a", 25_000));
  await objectOf(tenant).charge(charge("b", 5, "shares"));
  await objectOf(tenant).charge(charge("c", 7, "streams"));
  await objectOf(tenant).charge(charge("c", 7, "streams"));
  expect(await bytes()).toEqual({ sessions: 25_000, contexts: 0, shares: 5, streams: 7 });
  expect(await objectOf(tenant).charged("streams")).toEqual(["c"]);
  await objectOf(tenant).discharge(["a", "b", "unknown"]);
  await objectOf(tenant).discharge(["a"]);
  expect(await bytes()).toEqual({ sessions: 0, contexts: 0, shares: 0, streams: 7 });
});

test("one that would not fit changes nothing; what is there already counts, and may only shrink", async () => {
  expect(await admitted(charge("a", quota))).toBe(true);
  expect(await admitted(charge("b", 1))).toBe(false);
  expect(await admitted(charge("a", quota + 1))).toBe(false);
  expect((await bytes()).sessions).toBe(quota);
  await objectOf(tenant).charge(charge("b", 10));
  expect((await bytes()).sessions).toBe(quota + 10);
  expect(await admitted(charge("a", quota))).toBe(true);
  expect(await admitted(charge("c", 0))).toBe(true);
  expect(await admitted(charge("a", quota - 100))).toBe(true);
  expect(await admitted(charge("b", 101))).toBe(false);
  expect(await admitted(charge("b", 100))).toBe(true);
});

test("one that nobody renews ends by itself", async () => {
  await objectOf(tenant).charge(charge("a", 10));
  await objectOf(tenant).charge({ ...charge("b", 20), until: Date.now() + 2 * hour });
  later(hour - 1);
  expect((await bytes()).sessions).toBe(30);
  later(1);
  expect((await bytes()).sessions).toBe(20);
  expect(await admitted({ ...charge("c", quota - 20), until: Date.now() + 2 * hour })).toBe(true);
  later(hour);
  expect(await admitted(charge("d", 20))).toBe(true);
  expect((await bytes()).sessions).toBe(quota);
});

test("survives the object, and ends with its tenant", async () => {
  await objectOf(tenant).charge(charge("a", 10));
  await inside(tenant, (_object, state) => {
    state.abort("lost");
  }).catch(() => undefined);
  await objectOf(tenant).charge(charge("b", 5));
  expect((await bytes()).sessions).toBe(15);
  const other = newTenant();
  expect((await objectOf(other).usage()).charged.sessions).toBe(0);
  await objectOf(tenant).deleteAll();
  expect((await bytes()).sessions).toBe(0);
});

test("a state counts together with them", async () => {
  const { writtenBytes } = stored(await put(tenant, randomTokens(60, 1), { owner: "session:a:1;" }));
  expect(await admitted(charge("a", quota - writtenBytes + 1))).toBe(false);
  expect(await admitted(charge("a", quota - writtenBytes))).toBe(true);
  const outcome = await put(tenant, randomTokens(60, 2), { owner: "session:b:1;" });
  expect(outcome).toMatchObject({ ok: false, failure: { code: "quota_exceeded" } });
});

type Fault = <T>(call: () => Promise<T>, step: keyof Account, charge?: Charge) => Promise<T>;

/** The tenant's object behind something that fails. */
function behind(fail: Fault): SessionEnvironment["TENANT_OBJECT"] {
  const objects = bindings.TENANT_OBJECT;
  const getByName = (name: string): Account => {
    const object: Account = objects.getByName(name);
    return {
      admit: (one) => fail(() => object.admit(one), "admit", one),
      charge: (one) => fail(() => object.charge(one), "charge", one),
      discharge: (names) => fail(() => object.discharge(names), "discharge"),
      charged: (kind) => object.charged(kind),
    };
  };
  return { getByName } as unknown as SessionEnvironment["TENANT_OBJECT"];
}

const accountBehind = (fail: Fault) => new TenantAccount({ TENANT_OBJECT: behind(fail) }, tenant);

/** For every object; until the returned function is called. */
function replaceAccount(fail: Fault): () => void {
  const { TENANT_OBJECT } = bindings;
  const variables = bindings as { TENANT_OBJECT: SessionEnvironment["TENANT_OBJECT"] };
  variables.TENANT_OBJECT = behind(fail);
  return () => {
    variables.TENANT_OBJECT = TENANT_OBJECT;
  };
}

test("an answer that is lost on its way is asked for again, and counts once", async () => {
  let lost = 0;
  const account = accountBehind(async (call) => {
    const result = await call();
    if (++lost % 2 === 1) throw new Error("lost");
    return result;
  });
  expect(await account.admit(charge("a", 30_000))).toBeUndefined();
  expect(await account.admit(charge("b", 30_000))).toMatchObject({ code: "quota_exceeded" });
  await account.charge(charge("c", 10));
  expect(lost).toBe(6);
  expect((await bytes()).sessions).toBe(30_010);
  await account.discharge(["a"]);
  expect((await bytes()).sessions).toBe(10);
});

test("an account that can't be reached refuses nothing", async () => {
  const account = accountBehind(() => Promise.reject(new Error("away")));
  expect(await account.admit(charge("a", 2 * quota))).toBeUndefined();
  await account.charge(charge("a", 10));
  expect((await bytes()).sessions).toBe(0);
});

test("a session that is to be made is counted for an hour, so that one that never is ends by itself, and one that is made as long as it lives", async () => {
  const record = await newRecord(bindings, tenant, "session", versionOf(tinyManifest), "");
  const charges: (readonly [string, Charge])[] = [];
  const restore = replaceAccount(async (call, step, one) => {
    if (one !== undefined) charges.push([step, one]);
    return await call();
  });
  try {
    expect((await sessionAt(bindings, tenant, record.id).create(record)).ok).toBe(true);
  } finally {
    restore();
  }
  const owned = { owner: record.id, kind: "sessions" };
  const life = (lifeSeconds + record.updated) * 1_000 + 24 * hour;
  expect(charges).toMatchObject([
    ["admit", { ...owned, bytes: emptySessionBytes, until: Date.now() + hour }],
    ["charge", { ...owned, bytes: (await bytes()).sessions, until: life }],
  ]);
  later(hour);
  expect((await bytes()).sessions).toBeGreaterThan(0);
  vi.setSystemTime(life);
  expect((await bytes()).sessions).toBe(0);
});
