"""Writes what Hugging Face `tokenizers` makes of many strings, for the TypeScript tokenizer to be compared with.

Usage: parity_cases.py TOKENIZER_FILE QWEN_FILE OUTPUT_DIRECTORY, where TOKENIZER_FILE is the prepared `dist/gateway/model/tokenizer.json`
and QWEN_FILE the `tokenizer.json` of Qwen2.5 as it was published.
Per family it writes `NAME.tokenizer.json` (a Hugging Face file), `NAME.cases.json` (strings with their ids), `NAME.sweep.json`
(digests of what every code point does) and once `sweep.json` (the texts of the sweep).
The smollm family and qwen2.5 have the real vocabularies; the others have vocabularies trained here with the real normalizer and
pre-tokenizer.
"""

import hashlib
import json
import re
import struct
import sys
from pathlib import Path
from pydoc_data.topics import topics

from strings import COUNT, make_strings
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

QWEN2_EXPRESSION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTROL, USER_DEFINED = 3, 4
TRAINED_VOCABULARY = 6000
# What they add is tested with a part of the strings.
VARIANTS = ("ignore-merges", "qwen2.5")
# Everything but the inside of the large blocks whose characters are all alike, of which every 61st is there.
ALIKE = [range(0x3420, 0x4DB0), range(0x4E20, 0x9FE0), range(0xAC20, 0xD790), range(0xD800, 0xE000), range(0xE020, 0xF8E0)]
ALIKE += [range(0x17020, 0x18CC0), range(0x20020, 0x33460), range(0x33460, 0xE0000), range(0xE0200, 0x110000)]
SWEPT_CODE_POINTS = sorted(
    set(range(0x110000)).difference(*ALIKE) | {code for block in ALIKE for code in block[::61] if not 0xD800 <= code <= 0xDFFF}
)
SWEEP_BLOCK = 1024


def dress(tokenizer: Tokenizer, family: str) -> Tokenizer:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=family != "qwen2")
    if family == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(QWEN2_EXPRESSION), behavior="isolated", invert=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    elif family == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    else:
        tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def prepared(path: Path) -> Tokenizer:
    """The served model's tokenizer, built from the same file that the gateway reads."""
    file = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = {token: index for index, token in enumerate(file["tokens"])}
    merges = [tuple(merge.split(" ")) for merge in file["merges"]]
    tokenizer = dress(Tokenizer(models.BPE(vocab=vocabulary, merges=merges)), file["pre"])
    added = [(token, kind) for token, kind in zip(file["tokens"], file["tokenTypes"], strict=True) if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_tokens([AddedToken(token, special=kind == CONTROL, normalized=False) for token, kind in added])
    return tokenizer


def trained(family: str, texts: list[str], special: list[str], plain: list[AddedToken]) -> Tokenizer:
    tokenizer = dress(Tokenizer(models.BPE()), family)
    trainer = trainers.BpeTrainer(vocab_size=TRAINED_VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens(plain)
    return tokenizer


def families(path: Path, qwen: Path, texts: list[str]) -> dict[str, Tokenizer]:
    qwen_special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end|>|"]
    # The last is matched after normalization, and only then has that form in the text.
    qwen_plain = [AddedToken(token, normalized=False) for token in ("<tool_call>", "</tool_call>")]
    qwen_plain.append(AddedToken("\u00e9\u0323\u00e9", normalized=True))
    gpt2 = trained("gpt-2", texts, ["<|endoftext|>"], [AddedToken("<|endoftext", normalized=True)])
    return {
        "smollm": prepared(path),
        "gpt-2": gpt2,
        "qwen2": trained("qwen2", texts, qwen_special, qwen_plain),
        "ignore-merges": ignoring_merges(gpt2),
        "qwen2.5": Tokenizer.from_file(str(qwen)),
    }


def ignoring_merges(tokenizer: Tokenizer) -> Tokenizer:
    """With every third merge gone, many entries of the vocabulary are found only as whole words."""
    file = json.loads(tokenizer.to_str())
    file["model"]["merges"] = [merge for rank, merge in enumerate(file["model"]["merges"]) if rank % 3]
    file["model"]["ignore_merges"] = True
    return Tokenizer.from_str(json.dumps(file))


def well_formed(text: str) -> str:
    """Surrogate pairs joined, lone surrogates as U+FFFD: what `TextEncoder` makes of a JavaScript string."""
    joined = re.sub("[\ud800-\udbff][\udc00-\udfff]", lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    return re.sub("[\ud800-\udfff]", "\ufffd", joined)


def encode(tokenizer: Tokenizer, texts: list[str], *, special_as_text: bool) -> list[list[int]]:
    tokenizer.encode_special_tokens = special_as_text
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def sweep_texts() -> list[str]:
    """Code points by the block, each between letters, digits, spaces, quotes and marks."""
    texts = []
    for start in range(0, len(SWEPT_CODE_POINTS), SWEEP_BLOCK):
        characters = [chr(code) for code in SWEPT_CODE_POINTS[start : start + SWEEP_BLOCK]]
        texts.append("".join(f"x{c}y {c}1{c} '{c}'s{c}\u0301\u0323{c}{c}\n{c}  {c}!" for c in characters))
    return texts


def sweep(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    all_ids = encode(tokenizer, texts, special_as_text=True)
    return [hashlib.sha256(struct.pack(f"<{len(ids)}I", *ids)).hexdigest() for ids in all_ids]


def main(tokenizer_file: Path, qwen_file: Path, output: Path) -> None:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end|>|", "<tool_call>", "<file_sep>", "e\u0323\u0301\u00e9"]
    strings = make_strings(special)
    clean = [well_formed(text) for text in strings]
    topic_texts = [topics[name] for name in sorted(topics)]
    swept = sweep_texts()
    (output / "sweep.json").write_text(json.dumps(swept), encoding="utf-8")
    for name, tokenizer in families(tokenizer_file, qwen_file, topic_texts + clean[:4000]).items():
        tokenizer.save(str(output / f"{name}.tokenizer.json"), pretty=False)
        count = COUNT // 5 if name in VARIANTS else COUNT
        plain = encode(tokenizer, clean[:count], special_as_text=True)
        # Where no added token begins, both modes are one.
        marked = [index for index, text in enumerate(clean[:count]) if "<" in text or "e\u0323" in text or "\u1eb9" in text]
        with_special = encode(tokenizer, [clean[index] for index in marked], special_as_text=False)
        complete = plain.copy()
        for index, ids in zip(marked, with_special, strict=True):
            complete[index] = ids
        cases = {
            "strings": strings[:count],
            "plain": plain,
            "withSpecial": complete,
            "decoded": [tokenizer.decode(ids, skip_special_tokens=False) for ids in complete],
            "decodedSkipped": [tokenizer.decode(ids, skip_special_tokens=True) for ids in complete],
        }
        (output / f"{name}.cases.json").write_text(json.dumps(cases), encoding="utf-8")
        (output / f"{name}.sweep.json").write_text(json.dumps(sweep(tokenizer, swept)), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
