/** Who decides where a request goes: the pool's own policy, and three simple ones that know as much. */
import type { PlanRequest } from "../../workers/pool/policy.ts";
import { Health, type Attempt } from "../../workers/pool/health.ts";
import { plan } from "../../workers/pool/policy.ts";
import { homesOf } from "../../workers/pool/rendezvous.ts";
import type { PoolSnapshot, Replica } from "../../workers/pool/replica.ts";

export interface Router {
  /** Replicas to try, best first; none where it knows of no room. */
  choose(request: PlanRequest, snapshot: PoolSnapshot): readonly Replica[];
  /** A request goes to one of them. */
  begin(replica: Replica, affinity: string | null): Attempt;
}

/** One isolate's. */
export type MakeRouter = (now: () => number, random: () => number) => Router;

const mostTries = 6;
const unheard: Attempt = { worked: () => undefined, end: () => undefined };

export const routers = {
  "the pool's policy": (now, random) => {
    const health = new Health(now);
    return {
      choose: (request, snapshot) => plan(request, snapshot, health, random).candidates.map(({ replica }) => replica),
      begin: (replica, affinity) => health.begin(replica, affinity),
    };
  },
  "round robin": (_now, random) => {
    let next = Math.floor(random() * 1_000_000);
    return {
      choose: ({ wishes }, { replicas }) => {
        next += 1;
        const order = Array.from(
          { length: Math.min(mostTries, replicas.length) },
          (_unused, index) => replicas[(next + index) % replicas.length],
        );
        return order.filter((one) => one !== undefined && !wishes.avoid.includes(one.name)) as Replica[];
      },
      begin: () => unheard,
    };
  },
  // The least by its last report with what this isolate has sent since; of several, chance.
  "least load": (now, random) => {
    const health = new Health(now);
    return {
      choose: ({ wishes }, { replicas }) =>
        replicas
          .filter(({ name }) => !wishes.avoid.includes(name))
          .map((replica) => ({ replica, requests: health.requestsAt(replica) + random() }))
          .toSorted((left, right) => left.requests - right.requests)
          .slice(0, mostTries)
          .map(({ replica }) => replica),
      begin: (replica) => health.begin(replica, null),
    };
  },
  "consistent hashing": () => ({
    choose: ({ wishes }, { replicas }) =>
      homesOf(
        wishes.affinity ?? "",
        replicas.filter(({ name }) => !wishes.avoid.includes(name)),
        mostTries,
      ),
    begin: () => unheard,
  }),
} satisfies Record<string, MakeRouter>;

export type RouterName = keyof typeof routers;
