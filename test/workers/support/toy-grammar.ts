/** Gives the toy the real grammar library; where this is not imported, it holds to no constraint. In Workers alone, for Node imports no WebAssembly so. */
import code from "../../../wasm/pkg/grammar/grammar.wasm";
import { GrammarTexts } from "../../../workers/grammar/texts.ts";
import { useTexts } from "./toy-rules.ts";

useTexts(new GrammarTexts(code));
