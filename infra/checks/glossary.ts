/** What `words.ts` knows of words that are used for something else than ARCHITECTURE.md's glossary has for them. */
import type { Misuse } from "./words.ts";

/** What is generated, recorded as it was measured, or tells of misuses itself. */
export const uncheckedFiles = [
  ...["wasm/pkg", "test/golden", "test/bench/records"],
  ...["infra/checks/glossary.ts", "test/infra/checks/words.test.ts"],
] as const;

const webPage = ["workers/page", "test/page"];
const session = ["workers/session", "test/workers/session"];
const engine = ["workers/engine", "test/workers/engine", "wasm", "test/wasm"];
const conversation = "conversation|document|prompt|session|turn|chat|context";
const writer = "writer or receiver for what takes events or bytes";

export const misuses: readonly Misuse[] = [
  {
    word: "chunk",
    wrong: /pieces?/,
    // Stored names: of a seal, an owner, a record's field, and the tables of an earlier version.
    right: /sealed piece|suffix piece|(?:readonly|upload|tokens) pieces|pieces (?:chunks|snapshot|alter)|piece to array/,
    write: "chunk for bytes, delta for an answer's text, segment for tokens of one pass, part for what one request reads",
  },
  {
    word: "segment",
    wrong: /segments?/,
    within: ["workers", "test/workers", "test/contract"],
    except: webPage,
    write: "chunk for bytes, split for text between added tokens; a segment is tokens of one pass",
  },
  {
    word: "memory",
    wrong: new RegExp(
      `(?:${conversation})(?: s)? memor(?:y|ies)|memor(?:y|ies) of (?:a|the|its|every|that|constant) (?:${conversation}|text|size)s?`,
    ),
    // vLLM's `static_forward_context`, where another word follows it.
    right: /static forward context memory/,
    except: webPage,
    write: "state for what a model remembers",
  },
  {
    word: "memory",
    wrong: /memor(?:y|ies)/,
    right: /(?:in|linear|out of|engine s|time and) memory|memory (?:limit|bytes|of its own)/,
    within: session,
    write: "state for what a model remembers; memory is a process's bytes",
  },
  {
    word: "page",
    wrong: /pages?/,
    right: /(?:web|list|webassembly) pages?|(?:workers|test) page|page tokens|wasm max mem pages/,
    within: ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "workers/gateway", "infra", "test/runner", "test/edge"],
    except: ["infra/node", "test/runner/suites.ts"],
    write: "web page for what a browser shows, list page for a part of a list; a page is 32 tokens' keys and values",
  },
  {
    word: "page",
    wrong: /pages? of (?:a|the) lists?|memory pages?/,
    write: "list page for a part of a list, WebAssembly page for 64 KiB of linear memory",
  },
  {
    word: "round",
    wrong: /(?:in|by) turns|in turn|event loop turns?|turns? of the (?:event )?loops?/,
    except: [...webPage, ...session],
    write: "one after another, alternately, round or iteration; a turn is an exchange of a session",
  },
  {
    word: "turn",
    wrong: /turn(?:s|ed|ing)?/,
    right: /end of turn/,
    within: [...engine, "test/bench/engine", "test/bench/spikes", "test/bench/http"],
    write: "round, iteration, rotate or convert; a turn is an exchange of a session",
  },
  {
    word: "shard",
    wrong: /shard(?:s|ed|ing)?/,
    within: [...session, "workers/gateway", "workers/page/src", "workers/state-file", "test/workers/gateway"],
    write: "what is divided; a shard is a file of a model's weights",
  },
  {
    word: "sink",
    wrong: /sinks?/,
    right: /(?:learned|attention|lay) sinks?/,
    within: ["workers", "infra", "test/workers", "test/infra", "test/page", "test/edge", "test/bench"],
    write: writer,
  },
  { word: "sink", wrong: /(?:event|logit|log|byte|output|data) sinks?/, write: writer },
  {
    word: "snapshot",
    wrong: /snapshots?/,
    right: /workers session snapshots|snapshot inspect/,
    within: ["wasm", "gpu-backend", "test/gpu-backend", "test/wasm"],
    // There it is the name of a route.
    except: ["gpu-backend/spikingbrain_vllm/endpoints", "gpu-backend/docs/vllm-states.md"],
    write: "state file for a state's bytes; a snapshot is a state that the store keeps",
  },
  {
    word: "entry",
    wrong: /(?:plan|queue|cache) entr(?:y|ies)/,
    write: "candidate, request or cached snapshot; an entry is a numbered event of a stream",
  },
  {
    word: "stream",
    wrong:
      /streams? of (?:random numbers|numbers|documents|texts|weights|rows|records|pages|jobs)|(?:random|document|corpus|training|weight) streams?/,
    write: "sequence or series, or byte stream for bytes; a stream is one answer",
  },
  {
    word: "head",
    wrong:
      /(?:post|request|response|http|list|queue|web page) heads?|page heads|heads? of (?:a|the|its) (?:list|queue|request|response|answer|branch)/,
    write: "header or headers, beginning or first; a head is the part of a state file that changes, or one of attention",
  },
  {
    word: "session",
    wrong: /(?:tcp|tls|login|browser|terminal|shell|python|inference|debug) sessions?/,
    write: "connection, process, run or visit; a session is a conversation that the server keeps",
  },
  {
    word: "context",
    wrong:
      /(?:call|surrounding|message|log|business) contexts?|in (?:this|that) context|out of context|contexts? of (?:a|the) (?:call|error|request|message|test)/,
    write: "circumstances or surroundings, or what it is of; a context is a session made of a document, and a model has a context length",
  },
];
