/* @ts-self-types="./spikingbrain.d.ts" */

/**
 * A loaded model and its sequences.
 */
export class Engine {
    static __wrap(ptr) {
        const obj = Object.create(Engine.prototype);
        obj.__wbg_ptr = ptr;
        EngineFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        EngineFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_engine_free(ptr, 0);
    }
    /**
     * On ranks beside the first: what that has sampled, nothing for a stop token.
     * @param {number} sequence
     * @param {number | null} [token]
     */
    accept(sequence, token) {
        const ret = wasm.engine_accept(this.__wbg_ptr, sequence, isLikeNone(token) ? Number.MAX_SAFE_INTEGER : (token) >>> 0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Begins a pass: `{ pass, message }`.
     * @param {number} owner
     * @param {Uint32Array | number[]} plan
     * @returns {any}
     */
    beginPass(owner, plan) {
        const val2 = +owner;
        const ptr0 = passArray32ToWasm0(plan, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_beginPass(this.__wbg_ptr, val2, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Begins to give an empty sequence a state that these tokens made.
     * @param {number} sequence
     * @param {Uint32Array} seen
     */
    beginRestore(sequence, seen) {
        const ret = wasm.engine_beginRestore(this.__wbg_ptr, sequence, seen);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Begins to save; how many bytes will come.
     * @param {number} sequence
     * @param {number} from_page
     * @param {string} mode_json
     * @returns {number}
     */
    beginSave(sequence, from_page, mode_json) {
        const val2 = +sequence;
        const val3 = +from_page;
        const ptr0 = passStringToWasm0(mode_json, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_beginSave(this.__wbg_ptr, val2, val3, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0];
    }
    /**
     * Frees a sequence.
     * @param {number} sequence
     */
    close(sequence) {
        const ret = wasm.engine_close(this.__wbg_ptr, sequence);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * What a state file's first bytes say, as JSON; `null` while they are too few.
     * @param {Uint8Array} first_bytes
     * @returns {string}
     */
    describeState(first_bytes) {
        let deferred2_0;
        let deferred2_1;
        try {
            const ret = wasm.engine_describeState(this.__wbg_ptr, first_bytes);
            var ptr1 = ret[0];
            var len1 = ret[1];
            if (ret[3]) {
                ptr1 = 0; len1 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred2_0 = ptr1;
            deferred2_1 = len1;
            return getStringFromWasm0(ptr1, len1);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
    /**
     * JSON of what is loaded.
     * @returns {string}
     */
    describe() {
        let deferred2_0;
        let deferred2_1;
        try {
            const ret = wasm.engine_describe(this.__wbg_ptr);
            var ptr1 = ret[0];
            var len1 = ret[1];
            if (ret[3]) {
                ptr1 = 0; len1 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred2_0 = ptr1;
            deferred2_1 = len1;
            return getStringFromWasm0(ptr1, len1);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
    /**
     * Gives a pass up.
     * @param {number} pass
     */
    dropPass(pass) {
        const ret = wasm.engine_dropPass(this.__wbg_ptr, pass);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Rows of the embedding of those of a pass's tokens that this part has.
     * @param {Uint8Array} message
     * @returns {Uint8Array}
     */
    embedPart(message) {
        const ret = wasm.engine_embedPart(this.__wbg_ptr, message);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Ends a pass; false where the logits of its wanted tokens have still to be taken.
     * @param {number} pass
     * @param {Uint8Array} message
     * @returns {boolean}
     */
    endPass(pass, message) {
        const ret = wasm.engine_endPass(this.__wbg_ptr, pass, message);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] !== 0;
    }
    /**
     * After the last byte; tokens that the state has read.
     * @param {number} sequence
     * @returns {number}
     */
    endRestore(sequence) {
        const ret = wasm.engine_endRestore(this.__wbg_ptr, sequence);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] >>> 0;
    }
    /**
     * After the last bytes, or before.
     * @param {number} sequence
     */
    endSave(sequence) {
        const ret = wasm.engine_endSave(this.__wbg_ptr, sequence);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Drops the state, keeps the tokens.
     * @param {number} sequence
     */
    evict(sequence) {
        const ret = wasm.engine_evict(this.__wbg_ptr, sequence);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Appends tokens to read.
     * @param {number} sequence
     * @param {Uint32Array | number[]} tokens
     */
    feed(sequence, tokens) {
        const val2 = +sequence;
        const ptr0 = passArray32ToWasm0(tokens, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_feed(this.__wbg_ptr, val2, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Appends tokens as if they had been chosen.
     * @param {number} sequence
     * @param {Uint32Array | number[]} tokens
     */
    force(sequence, tokens) {
        const val2 = +sequence;
        const ptr0 = passArray32ToWasm0(tokens, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_force(this.__wbg_ptr, val2, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Frees an owner's sequence, if it is here.
     * @param {number} owner
     * @param {number} sequence
     */
    forgetGuest(owner, sequence) {
        wasm.engine_forgetGuest(this.__wbg_ptr, owner, sequence);
    }
    /**
     * Frees all of an owner's sequences.
     * @param {number} owner
     */
    forgetOwner(owner) {
        wasm.engine_forgetOwner(this.__wbg_ptr, owner);
    }
    /**
     * A copy of an owner's sequence under another of its names.
     * @param {number} owner
     * @param {number} from
     * @param {number} to
     */
    forkGuest(owner, from, to) {
        const ret = wasm.engine_forkGuest(this.__wbg_ptr, owner, from, to);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * A copy.
     * @param {number} sequence
     * @returns {number}
     */
    fork(sequence) {
        const ret = wasm.engine_fork(this.__wbg_ptr, sequence);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] >>> 0;
    }
    /**
     * Bytes that state may still take.
     * @returns {number}
     */
    freeStateBytes() {
        const ret = wasm.engine_freeStateBytes(this.__wbg_ptr);
        return ret;
    }
    /**
     * The sequence that stands here for an owner's.
     * @param {number} owner
     * @param {number} sequence
     * @returns {number}
     */
    guest(owner, sequence) {
        const ret = wasm.engine_guest(this.__wbg_ptr, owner, sequence);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] >>> 0;
    }
    /**
     * Joins rows of parts of the embedding, `[from, to, from, to, ...]` and the bytes of each, into a message.
     * @param {Uint8Array} message
     * @param {Uint32Array | number[]} ranges
     * @param {Array<any>} rows
     * @returns {Uint8Array}
     */
    joinRows(message, ranges, rows) {
        const ptr0 = passArray32ToWasm0(ranges, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_joinRows(this.__wbg_ptr, message, ptr0, len0, rows);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * The learned sinks' rows as the part before this one leaves them; as this one does.
     * @param {Uint8Array} rows
     * @returns {Uint8Array}
     */
    laySinks(rows) {
        const ret = wasm.engine_laySinks(this.__wbg_ptr, rows);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Most tokens of a pass from now on, where other parts have room for fewer.
     * @param {number} tokens
     */
    limitPass(tokens) {
        wasm.engine_limitPass(this.__wbg_ptr, tokens);
    }
    /**
     * Logits over this part's rows of the head, of so many of the wanted tokens.
     * @param {Uint8Array} message
     * @param {number} first
     * @param {number} count
     * @returns {Uint8Array}
     */
    logitsPart(message, first, count) {
        const ret = wasm.engine_logitsPart(this.__wbg_ptr, message, first, count);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Size of the linear memory.
     * @returns {number}
     */
    memoryBytes() {
        const ret = wasm.engine_memoryBytes(this.__wbg_ptr);
        return ret;
    }
    /**
     * A new sequence; parameters as JSON.
     * @param {string} parameters_json
     * @returns {number}
     */
    open(parameters_json) {
        const ptr0 = passStringToWasm0(parameters_json, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_open(this.__wbg_ptr, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] >>> 0;
    }
    /**
     * Bytes that a part (JSON) of the model has of a state of so many tokens.
     * @param {string} cut_json
     * @param {number} tokens
     * @returns {number}
     */
    partBytes(cut_json, tokens) {
        const val2 = +tokens;
        const ptr0 = passStringToWasm0(cut_json, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_partBytes(this.__wbg_ptr, ptr0, len0, val2);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0];
    }
    /**
     * JSON of what a part has of a state file with this header: `{ head, groups: [tokens, bytes of a token][] }`; `null` while it is not whole.
     * @param {string} cut_json
     * @param {Uint8Array} header
     * @param {number} from_page
     * @returns {string}
     */
    partOfFile(cut_json, header, from_page) {
        let deferred4_0;
        let deferred4_1;
        try {
            const val2 = +from_page;
            const ptr0 = passStringToWasm0(cut_json, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len0 = WASM_VECTOR_LEN;
            const ret = wasm.engine_partOfFile(this.__wbg_ptr, ptr0, len0, header, val2);
            var ptr3 = ret[0];
            var len3 = ret[1];
            if (ret[3]) {
                ptr3 = 0; len3 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred4_0 = ptr3;
            deferred4_1 = len3;
            return getStringFromWasm0(ptr3, len3);
        } finally {
            wasm.__wbindgen_free(deferred4_0, deferred4_1, 1);
        }
    }
    /**
     * This part of a pass.
     * @param {Uint8Array} message
     * @returns {Uint8Array}
     */
    passOn(message) {
        const ret = wasm.engine_passOn(this.__wbg_ptr, message);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Tokens still to read.
     * @param {number} sequence
     * @returns {number}
     */
    pending(sequence) {
        const ret = wasm.engine_pending(this.__wbg_ptr, sequence);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] >>> 0;
    }
    /**
     * The state file's next bytes.
     * @param {number} sequence
     * @param {Uint8Array} chunk
     */
    pushState(sequence, chunk) {
        const ret = wasm.engine_pushState(this.__wbg_ptr, sequence, chunk);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Reads so many pending tokens and returns the logits after each, `[count, vocabulary]`; none on ranks beside the first.
     * @param {number} sequence
     * @param {number} count
     * @returns {Float32Array}
     */
    readLogits(sequence, count) {
        const ret = wasm.engine_readLogits(this.__wbg_ptr, sequence, count);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * The next bytes, at most so many.
     * @param {number} sequence
     * @param {number} most
     * @returns {Uint8Array}
     */
    readSaved(sequence, most) {
        const ret = wasm.engine_readSaved(this.__wbg_ptr, sequence, most);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Positions of the tokens that a KV head of an `evicted` layer keeps exactly, slot by slot.
     * @param {number} sequence
     * @param {number} layer
     * @param {number} head
     * @returns {Uint32Array}
     */
    salientPositions(sequence, layer, head) {
        const ret = wasm.engine_salientPositions(this.__wbg_ptr, sequence, layer, head);
        if (ret[3]) {
            throw takeFromExternrefTable0(ret[2]);
        }
        var v1 = getArrayU32FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 4, 4);
        return v1;
    }
    /**
     * The next token, as JSON.
     * @param {number} sequence
     * @returns {string}
     */
    sample(sequence) {
        let deferred2_0;
        let deferred2_1;
        try {
            const ret = wasm.engine_sample(this.__wbg_ptr, sequence);
            var ptr1 = ret[0];
            var len1 = ret[1];
            if (ret[3]) {
                ptr1 = 0; len1 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred2_0 = ptr1;
            deferred2_1 = len1;
            return getStringFromWasm0(ptr1, len1);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
    /**
     * Bytes of a sequence's state now.
     * @param {number} sequence
     * @returns {number}
     */
    sequenceBytes(sequence) {
        const ret = wasm.engine_sequenceBytes(this.__wbg_ptr, sequence);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0];
    }
    /**
     * Of which the next tokens are chosen, a bit a token; of all where it is left out.
     * @param {number} sequence
     * @param {Uint8Array | number[] | null} [mask]
     */
    setMask(sequence, mask) {
        const val2 = +sequence;
        var ptr0 = isLikeNone(mask) ? 0 : passArray8ToWasm0(mask, wasm.__wbindgen_malloc);
        var len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_setMask(this.__wbg_ptr, val2, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * What the sequence has fired by layer and site, as JSON; `null` where that is not counted.
     * @param {number} sequence
     * @returns {string}
     */
    spikeCounts(sequence) {
        let deferred2_0;
        let deferred2_1;
        try {
            const ret = wasm.engine_spikeCounts(this.__wbg_ptr, sequence);
            var ptr1 = ret[0];
            var len1 = ret[1];
            if (ret[3]) {
                ptr1 = 0; len1 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred2_0 = ptr1;
            deferred2_1 = len1;
            return getStringFromWasm0(ptr1, len1);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
    /**
     * The same of all layers and sites together.
     * @param {number} sequence
     * @returns {string}
     */
    spikeTotals(sequence) {
        let deferred2_0;
        let deferred2_1;
        try {
            const ret = wasm.engine_spikeTotals(this.__wbg_ptr, sequence);
            var ptr1 = ret[0];
            var len1 = ret[1];
            if (ret[3]) {
                ptr1 = 0; len1 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred2_0 = ptr1;
            deferred2_1 = len1;
            return getStringFromWasm0(ptr1, len1);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
    /**
     * Bytes of a state of so many tokens.
     * @param {number} tokens
     * @returns {number}
     */
    stateBytes(tokens) {
        const ret = wasm.engine_stateBytes(this.__wbg_ptr, tokens);
        return ret;
    }
    /**
     * Bytes of a state file's header.
     * @returns {number}
     */
    stateHeaderBytes() {
        const ret = wasm.engine_stateHeaderBytes(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * How the ranks' parts lie in a state file without the rows of tokens in pages before `fromPage`, as JSON; `null` while its first bytes
     * are too few.
     * @param {Uint8Array} first_bytes
     * @param {number} from_page
     * @returns {string}
     */
    stateRuns(first_bytes, from_page) {
        let deferred2_0;
        let deferred2_1;
        try {
            const ret = wasm.engine_stateRuns(this.__wbg_ptr, first_bytes, from_page);
            var ptr1 = ret[0];
            var len1 = ret[1];
            if (ret[3]) {
                ptr1 = 0; len1 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred2_0 = ptr1;
            deferred2_1 = len1;
            return getStringFromWasm0(ptr1, len1);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
    /**
     * `[sequence, count, sequence, count, ...]`
     * @param {Uint32Array | number[]} plan
     */
    step(plan) {
        const ptr0 = passArray32ToWasm0(plan, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.engine_step(this.__wbg_ptr, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * The logits of the next wanted token, over the whole vocabulary; true after the last.
     * @param {number} pass
     * @param {Uint8Array} logits
     * @returns {boolean}
     */
    takeLogits(pass, logits) {
        const ret = wasm.engine_takeLogits(this.__wbg_ptr, pass, logits);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] !== 0;
    }
    /**
     * Scores of prompt tokens, as JSON.
     * @param {number} sequence
     * @returns {string}
     */
    takePromptLogprobs(sequence) {
        let deferred2_0;
        let deferred2_1;
        try {
            const ret = wasm.engine_takePromptLogprobs(this.__wbg_ptr, sequence);
            var ptr1 = ret[0];
            var len1 = ret[1];
            if (ret[3]) {
                ptr1 = 0; len1 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred2_0 = ptr1;
            deferred2_1 = len1;
            return getStringFromWasm0(ptr1, len1);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
    /**
     * How many tokens' logits a pass wants.
     * @param {number} pass
     * @returns {number}
     */
    wanted(pass) {
        const ret = wasm.engine_wanted(this.__wbg_ptr, pass);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] >>> 0;
    }
}
if (Symbol.dispose) Engine.prototype[Symbol.dispose] = Engine.prototype.free;

/**
 * Reads a GGUF's header and no further.
 */
export class ModelInspector {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        ModelInspectorFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_modelinspector_free(ptr, 0);
    }
    /**
     * JSON of the model, with its state's sizes at these contexts.
     * @param {Uint32Array | number[]} contexts
     * @returns {string}
     */
    describe(contexts) {
        let deferred3_0;
        let deferred3_1;
        try {
            const ptr0 = passArray32ToWasm0(contexts, wasm.__wbindgen_malloc);
            const len0 = WASM_VECTOR_LEN;
            const ret = wasm.modelinspector_describe(this.__wbg_ptr, ptr0, len0);
            var ptr2 = ret[0];
            var len2 = ret[1];
            if (ret[3]) {
                ptr2 = 0; len2 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred3_0 = ptr2;
            deferred3_1 = len2;
            return getStringFromWasm0(ptr2, len2);
        } finally {
            wasm.__wbindgen_free(deferred3_0, deferred3_1, 1);
        }
    }
    /**
     * Of a file that is about to come.
     */
    constructor() {
        const ret = wasm.modelinspector_new();
        this.__wbg_ptr = ret;
        ModelInspectorFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * JSON of what an engine that holds this part of the model (JSON) takes: weights, buffers of passes of so many tokens, and one state of so
     * many tokens with int8 keys and values.
     * @param {string} cut_json
     * @param {number} pass_tokens
     * @param {number} tokens
     * @returns {string}
     */
    partSize(cut_json, pass_tokens, tokens) {
        let deferred5_0;
        let deferred5_1;
        try {
            const val2 = +pass_tokens;
            const val3 = +tokens;
            const ptr0 = passStringToWasm0(cut_json, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len0 = WASM_VECTOR_LEN;
            const ret = wasm.modelinspector_partSize(this.__wbg_ptr, ptr0, len0, val2, val3);
            var ptr4 = ret[0];
            var len4 = ret[1];
            if (ret[3]) {
                ptr4 = 0; len4 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred5_0 = ptr4;
            deferred5_1 = len4;
            return getStringFromWasm0(ptr4, len4);
        } finally {
            wasm.__wbindgen_free(deferred5_0, deferred5_1, 1);
        }
    }
    /**
     * The file's next bytes; whether the header is whole.
     * @param {Uint8Array} chunk
     * @returns {boolean}
     */
    push(chunk) {
        const ret = wasm.modelinspector_push(this.__wbg_ptr, chunk);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] !== 0;
    }
}
if (Symbol.dispose) ModelInspector.prototype[Symbol.dispose] = ModelInspector.prototype.free;

/**
 * Streams a GGUF in.
 */
export class ModelLoader {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        ModelLoaderFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_modelloader_free(ptr, 0);
    }
    /**
     * After the last byte.
     * @returns {Engine}
     */
    finish() {
        const ptr = this.__destroy_into_raw();
        const ret = wasm.modelloader_finish(ptr);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return Engine.__wrap(ret[0]);
    }
    /**
     * Where the next byte lies that is needed; infinite once nothing more is.
     * @returns {number}
     */
    neededFrom() {
        const ret = wasm.modelloader_neededFrom(this.__wbg_ptr);
        return ret;
    }
    /**
     * Options as JSON: `{ kvType, memoryLimitBytes, spikes, modelDigest, tokenizerDigest, rank, ranks }`. Several ranks have an exchange.
     * @param {string} options_json
     * @param {RankExchange | null} [exchange]
     */
    constructor(options_json, exchange) {
        const ptr0 = passStringToWasm0(options_json, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.modelloader_new(ptr0, len0, isLikeNone(exchange) ? 0 : addToExternrefTable0(exchange));
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        this.__wbg_ptr = ret[0];
        ModelLoaderFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Takes the first bytes of the room as the file's next.
     * @param {number} bytes
     */
    pushRoom(bytes) {
        const ret = wasm.modelloader_pushRoom(this.__wbg_ptr, bytes);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * The file's next bytes.
     * @param {Uint8Array} chunk
     */
    push(chunk) {
        const ret = wasm.modelloader_push(this.__wbg_ptr, chunk);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * Room for the file's next bytes in this engine's own memory, where no copy of them is made: of use until the next call of anything.
     * @returns {Uint8Array}
     */
    room() {
        const ret = wasm.modelloader_room(this.__wbg_ptr);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return takeFromExternrefTable0(ret[0]);
    }
    /**
     * Passes over bytes that are not needed.
     * @param {number} bytes
     */
    skip(bytes) {
        const ret = wasm.modelloader_skip(this.__wbg_ptr, bytes);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
}
if (Symbol.dispose) ModelLoader.prototype[Symbol.dispose] = ModelLoader.prototype.free;

/**
 * `scalar`, `simd128` or `relaxed`: what this package was built for.
 * @returns {string}
 */
export function kernel() {
    let deferred1_0;
    let deferred1_1;
    try {
        const ret = wasm.kernel();
        deferred1_0 = ret[0];
        deferred1_1 = ret[1];
        return getStringFromWasm0(ret[0], ret[1]);
    } finally {
        wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
    }
}

/**
 * Where this package's kernels compute another bit than the plain loops that define them, on this host; undefined where nowhere.
 * @returns {string | undefined}
 */
export function kernelDifference() {
    const ret = wasm.kernelDifference();
    let v1;
    if (ret[0] !== 0) {
        v1 = getStringFromWasm0(ret[0], ret[1]);
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
    }
    return v1;
}
function __wbg_get_imports() {
    const import0 = {
        __proto__: null,
        __wbg___wbindgen_throw_4c88d8bf264fd984: function(arg0, arg1) {
            throw new Error(getStringFromWasm0(arg0, arg1));
        },
        __wbg_buffer_ee78344e0c4a941f: function(arg0) {
            const ret = arg0.buffer;
            return ret;
        },
        __wbg_gather_ee1224e4b77e5aa4: function(arg0, arg1, arg2, arg3, arg4, arg5) {
            const ret = arg0.gather(arg1 >>> 0, arg2 >>> 0, arg3 >>> 0, arg4 >>> 0, arg5 >>> 0);
            return ret;
        },
        __wbg_get_unchecked_e6325ad374eff861: function(arg0, arg1) {
            const ret = arg0[arg1 >>> 0];
            return ret;
        },
        __wbg_instanceof_Uint8Array_d7aeb0dcb3108fea: function(arg0) {
            let result;
            try {
                result = arg0 instanceof Uint8Array;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_leave_a27243ee8edbe019: function(arg0, arg1) {
            arg0.leave(arg1 >>> 0);
        },
        __wbg_length_186163212ffe79c3: function(arg0) {
            const ret = arg0.length;
            return ret;
        },
        __wbg_length_6e9d2869242cabf3: function(arg0) {
            const ret = arg0.length;
            return ret;
        },
        __wbg_length_b03a0fabb109b1e9: function(arg0) {
            const ret = arg0.length;
            return ret;
        },
        __wbg_length_c702d06d28b96b72: function(arg0) {
            const ret = arg0.length;
            return ret;
        },
        __wbg_new_13de428334042d26: function(arg0) {
            const ret = new Uint8Array(arg0);
            return ret;
        },
        __wbg_new_787b9fb330d55d78: function(arg0, arg1) {
            const ret = new Error(getStringFromWasm0(arg0, arg1));
            return ret;
        },
        __wbg_new_cd4348290afae586: function() {
            const ret = new Object();
            return ret;
        },
        __wbg_new_from_slice_355c10c5d8f2addb: function(arg0, arg1) {
            const ret = new Float32Array(getArrayF32FromWasm0(arg0, arg1));
            return ret;
        },
        __wbg_new_from_slice_b8daf545a41c6aa0: function(arg0, arg1) {
            const ret = new Uint8Array(getArrayU8FromWasm0(arg0, arg1));
            return ret;
        },
        __wbg_new_with_length_01b143a7e5dd5a3e: function(arg0) {
            const ret = new Uint8Array(arg0 >>> 0);
            return ret;
        },
        __wbg_new_with_length_5c0c9043ebd9ec32: function(arg0) {
            const ret = new Float32Array(arg0 >>> 0);
            return ret;
        },
        __wbg_prototypesetcall_13162965d1fe7aa3: function(arg0, arg1, arg2) {
            Uint8Array.prototype.set.call(getArrayU8FromWasm0(arg0, arg1), arg2);
        },
        __wbg_prototypesetcall_4aea6470234c8414: function(arg0, arg1, arg2) {
            Uint32Array.prototype.set.call(getArrayU32FromWasm0(arg0, arg1), arg2);
        },
        __wbg_set_2793479888329cb6: function() { return handleError(function (arg0, arg1, arg2) {
            const ret = Reflect.set(arg0, arg1, arg2);
            return ret;
        }, arguments); },
        __wbg_set_d0e2abd6ed08e04c: function(arg0, arg1, arg2) {
            arg0.set(getArrayF32FromWasm0(arg1, arg2));
        },
        __wbg_set_feb3714f475485ba: function(arg0, arg1, arg2) {
            arg0.set(getArrayU8FromWasm0(arg1, arg2));
        },
        __wbg_set_name_822e3903f3184979: function(arg0, arg1, arg2) {
            arg0.name = getStringFromWasm0(arg1, arg2);
        },
        __wbg_subarray_06f4deea7e13f965: function(arg0, arg1, arg2) {
            const ret = arg0.subarray(arg1 >>> 0, arg2 >>> 0);
            return ret;
        },
        __wbg_subarray_58f388a9247ac0bb: function(arg0, arg1, arg2) {
            const ret = arg0.subarray(arg1 >>> 0, arg2 >>> 0);
            return ret;
        },
        __wbg_subarray_7343a34544ab34ea: function(arg0, arg1, arg2) {
            const ret = arg0.subarray(arg1 >>> 0, arg2 >>> 0);
            return ret;
        },
        __wbindgen_generic_0000000000000001: function(arg0) {
            // Cast intrinsic for `F64 -> Externref`.
            const ret = arg0;
            return ret;
        },
        __wbindgen_generic_0000000000000002: function(arg0, arg1) {
            // Cast intrinsic for `Ref(Slice(U8)) -> NamedExternref("Uint8Array")`.
            const ret = getArrayU8FromWasm0(arg0, arg1);
            return ret;
        },
        __wbindgen_generic_0000000000000003: function(arg0, arg1) {
            // Cast intrinsic for `Ref(String) -> Externref`.
            const ret = getStringFromWasm0(arg0, arg1);
            return ret;
        },
        __wbindgen_init_externref_table: function() {
            const table = wasm.__wbindgen_externrefs;
            table.set(0, undefined);
            table.set(1024, undefined);
            table.set(1025, null);
            table.set(1026, true);
            table.set(1027, false);
        },
    };
    return {
        __proto__: null,
        "./spikingbrain_bg.js": import0,
    };
}

const EngineFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_engine_free(ptr, 1));
const ModelInspectorFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_modelinspector_free(ptr, 1));
const ModelLoaderFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_modelloader_free(ptr, 1));

function addToExternrefTable0(obj) {
    const idx = wasm.__externref_table_alloc();
    wasm.__wbindgen_externrefs.set(idx, obj);
    return idx;
}

function getArrayF32FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getFloat32ArrayMemory0().subarray(ptr / 4, ptr / 4 + len);
}

function getArrayU32FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getUint32ArrayMemory0().subarray(ptr / 4, ptr / 4 + len);
}

function getArrayU8FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getUint8ArrayMemory0().subarray(ptr / 1, ptr / 1 + len);
}

let cachedFloat32ArrayMemory0 = null;
function getFloat32ArrayMemory0() {
    if (cachedFloat32ArrayMemory0 === null || cachedFloat32ArrayMemory0.byteLength === 0) {
        cachedFloat32ArrayMemory0 = new Float32Array(wasm.memory.buffer);
    }
    return cachedFloat32ArrayMemory0;
}

function getStringFromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return decodeText(getUint8ArrayMemory0().subarray(ptr, ptr + len));
}

let cachedUint32ArrayMemory0 = null;
function getUint32ArrayMemory0() {
    if (cachedUint32ArrayMemory0 === null || cachedUint32ArrayMemory0.byteLength === 0) {
        cachedUint32ArrayMemory0 = new Uint32Array(wasm.memory.buffer);
    }
    return cachedUint32ArrayMemory0;
}

let cachedUint8ArrayMemory0 = null;
function getUint8ArrayMemory0() {
    if (cachedUint8ArrayMemory0 === null || cachedUint8ArrayMemory0.byteLength === 0) {
        cachedUint8ArrayMemory0 = new Uint8Array(wasm.memory.buffer);
    }
    return cachedUint8ArrayMemory0;
}

function handleError(f, args) {
    try {
        return f.apply(this, args);
    } catch (e) {
        const idx = addToExternrefTable0(e);
        wasm.__wbindgen_exn_store(idx);
    }
}

function isLikeNone(x) {
    return x === undefined || x === null;
}

function passArray32ToWasm0(arg, malloc) {
    const ptr = malloc(arg.length * 4, 4) >>> 0;
    getUint32ArrayMemory0().set(arg, ptr / 4);
    WASM_VECTOR_LEN = arg.length;
    return ptr;
}

function passArray8ToWasm0(arg, malloc) {
    const ptr = malloc(arg.length * 1, 1) >>> 0;
    getUint8ArrayMemory0().set(arg, ptr / 1);
    WASM_VECTOR_LEN = arg.length;
    return ptr;
}

function passStringToWasm0(arg, malloc, realloc) {
    if (realloc === undefined) {
        const buf = cachedTextEncoder.encode(arg);
        const ptr = malloc(buf.length, 1) >>> 0;
        getUint8ArrayMemory0().subarray(ptr, ptr + buf.length).set(buf);
        WASM_VECTOR_LEN = buf.length;
        return ptr;
    }

    let len = arg.length;
    let ptr = malloc(len, 1) >>> 0;

    const mem = getUint8ArrayMemory0();

    let offset = 0;

    for (; offset < len; offset++) {
        const code = arg.charCodeAt(offset);
        if (code > 0x7F) break;
        mem[ptr + offset] = code;
    }
    if (offset !== len) {
        if (offset !== 0) {
            arg = arg.slice(offset);
        }
        ptr = realloc(ptr, len, len = offset + arg.length * 3, 1) >>> 0;
        const view = getUint8ArrayMemory0().subarray(ptr + offset, ptr + len);
        const ret = cachedTextEncoder.encodeInto(arg, view);

        offset += ret.written;
        ptr = realloc(ptr, len, offset, 1) >>> 0;
    }

    WASM_VECTOR_LEN = offset;
    return ptr;
}

function takeFromExternrefTable0(idx) {
    const value = wasm.__wbindgen_externrefs.get(idx);
    wasm.__externref_table_dealloc(idx);
    return value;
}

let cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
cachedTextDecoder.decode();
const MAX_SAFARI_DECODE_BYTES = 2146435072;
let numBytesDecoded = 0;
function decodeText(bytes) {
    numBytesDecoded += bytes.length;
    if (numBytesDecoded >= MAX_SAFARI_DECODE_BYTES) {
        cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
        cachedTextDecoder.decode();
        numBytesDecoded = bytes.length;
    }
    return cachedTextDecoder.decode(bytes);
}

const cachedTextEncoder = new TextEncoder();

if (!('encodeInto' in cachedTextEncoder)) {
    cachedTextEncoder.encodeInto = function (arg, view) {
        const buf = cachedTextEncoder.encode(arg);
        view.set(buf);
        return {
            read: arg.length,
            written: buf.length
        };
    };
}

let WASM_VECTOR_LEN = 0;

let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module) {
    wasmInstance = instance;
    wasm = instance.exports;
    wasmModule = module;
    cachedFloat32ArrayMemory0 = null;
    cachedUint32ArrayMemory0 = null;
    cachedUint8ArrayMemory0 = null;
    wasm.__wbindgen_start();
    return wasm;
}

async function __wbg_load(module, imports) {
    if (typeof Response === 'function' && module instanceof Response) {
        if (!module.ok) {
            throw new Error(`failed to fetch Wasm: ${module.status} ${module.statusText} fetching '${module.url}'`);
        }

        if (typeof WebAssembly.instantiateStreaming === 'function') {
            try {
                return await WebAssembly.instantiateStreaming(module, imports);
            } catch (e) {
                const validResponse = expectedResponseType(module.type);

                if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
                    console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);

                } else { throw e; }
            }
        }

        const bytes = await module.arrayBuffer();
        return await WebAssembly.instantiate(bytes, imports);
    } else {
        const instance = await WebAssembly.instantiate(module, imports);

        if (instance instanceof WebAssembly.Instance) {
            return { instance, module };
        } else {
            return instance;
        }
    }

    function expectedResponseType(type) {
        switch (type) {
            case 'basic': case 'cors': case 'default': return true;
        }
        return false;
    }
}

function initSync(module) {
    if (wasm !== undefined) return wasm;


    if (module !== undefined) {
        if (Object.getPrototypeOf(module) === Object.prototype) {
            ({module} = module)
        } else {
            console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
        }
    }

    const imports = __wbg_get_imports();
    if (!(module instanceof WebAssembly.Module)) {
        module = new WebAssembly.Module(module);
    }
    const instance = new WebAssembly.Instance(module, imports);
    return __wbg_finalize_init(instance, module);
}

let __wbg_init_promise;
async function __wbg_init(module_or_path) {
    if (wasm !== undefined) return wasm;
    if (__wbg_init_promise === undefined) {
        __wbg_init_promise = __wbg_init_once(module_or_path);
        __wbg_init_promise.catch(() => { __wbg_init_promise = undefined; });
    }
    return __wbg_init_promise;
}

async function __wbg_init_once(module_or_path) {

    if (module_or_path !== undefined) {
        if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
            ({module_or_path} = module_or_path)
        } else {
            console.warn('using deprecated parameters for the initialization function; pass a single object instead')
        }
    }

    if (module_or_path === undefined) {
        module_or_path = new URL('spikingbrain_bg.wasm', import.meta.url);
    }
    const imports = __wbg_get_imports();

    if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
        module_or_path = fetch(module_or_path);
    }

    const { instance, module } = await __wbg_load(await module_or_path, imports);

    return __wbg_finalize_init(instance, module);
}

export { initSync, __wbg_init as default };
