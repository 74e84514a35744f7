"""Strings that tokenizers disagree on, the same at every run."""

import random
import unicodedata
from collections.abc import Callable
from pydoc_data.topics import topics

COUNT = 21_000

SENTENCES = [
    "The quick brown fox jumps over the lazy dog; it's 3.14159 o'clock, isn't it? We'LL SEE, they'VE said, I'M sure you'D agree.",
    "敏捷的棕色狐狸跳过了懒狗。2024年,我们在北京见面吧!「你好」,他说。",
    "吾輩は猫である。名前はまだ無い。カタカナとひらがな、ﾊﾝｶｸも。",
    "동해 물과 백두산이 마르고 닳도록 하느님이 보우하사",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ١٢٣",
    "दिल्ली भारत की राजधानी है। क़िला ख़ास १२३४",
    "Tiếng Việt có dấu: phở, đường, nguyễn, Việt Nam ưỡn ẹo.",
    "Zażółć gęślą jaźń; Příliš žluťoučký kůň; Čeština, Straße, ŒUVRE, ﬁnal, \u017ftraße",
    "สวัสดีครับ ยินดีที่ได้รู้จัก ๑๒๓ בְּרֵאשִׁית בָּרָא",
    "def f(x):\n    return {k: v ** 2 for k, v in x.items() if v != 0}  # comment\n\n\tif a<=b&&c||d: pass\r\n",
    "for (let i = 0; i < 10; i++) { console.log(`${i}: ${a[i]?.b ?? 'none'}`); }\n\n\n/* c */ SELECT * FROM t WHERE a='b';",
    "😀😃👍🏽👨‍👩‍👧‍👦🏳️‍🌈🇩🇪🇨🇳❤️‍🔥 ⌚️ ☎ 🫠🪿 1️⃣2️⃣",
    "①②③ ⅠⅡⅢ ½⅓ ²³ ₁₂ 〇一二三 \U0001d7ce\U0001d7cf ൧൨ 𐄇 ௧௰",
    "ﬀ Å Å Å ǖ ǖ ệ ệ ệ ṩ ṩ q̣̇ q̣̇ 가 각 각",
]
WHITESPACE = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2000\u2009\u2028\u2029\u202f\u205f\u3000\ufeff\u200b\u180e"
CONTRACTIONS = [
    "'s",
    "'T",
    "'re",
    "'Ve",
    "'m",
    "'LL",
    "'d",
    "'\u017f",
    "\u2019s",
    "'l",
    "'v",
    "''s",
    "'\u212a",
    "'rE",
    "'sx",
    "'ll'",
    "'S",
    "'R",
]


def decomposes(code: int) -> bool:
    mapping = unicodedata.decomposition(chr(code))
    return mapping != "" and "<" not in mapping


MARKS = [chr(code) for code in range(0x110000) if unicodedata.combining(chr(code))]
COMPOSED = [chr(code) for code in range(0xC0, 0x30000) if decomposes(code)]
JAMO = [chr(code) for code in (*range(0x1100, 0x1200), 0xAC00, 0xAC01, 0xAC1C, 0xD7A3)]


def make_strings(special: list[str]) -> list[str]:
    source = random.Random(20260101)
    text = "\n".join(topics[name] for name in sorted(topics))

    def pick(items: str | list[str], most: int) -> str:
        return "".join(source.choice(items) for _ in range(source.randint(0, most)))

    def excerpt() -> str:
        start = source.randrange(len(text))
        return text[start : start + source.randint(1, 200)]

    def sentence() -> str:
        chosen = source.choice(SENTENCES)
        start = source.randrange(len(chosen))
        return chosen[start : start + source.randint(1, 80)]

    def code_points() -> str:
        top = source.choice([0x80, 0x250, 0x900, 0x3000, 0xFFFF, 0x1FFFF, 0x10FFFF])
        return "".join(chr(source.randint(0, top)) for _ in range(source.randint(0, 24)))

    def marked() -> str:
        return source.choice("aeioqADs ") + pick(MARKS[:120], 3) + pick(MARKS, 1) + pick(COMPOSED, 2)

    def marks() -> str:
        return "".join(marked() for _ in range(source.randint(1, 6)))

    def specials() -> str:
        texts = [source.choice(special) for _ in range(source.randint(1, 4))]
        cut = source.choice(special)
        texts.append(cut[: source.randrange(len(cut) + 1)])
        texts.extend(source.choice(["", " ", "\n", "user", "|", "<", "<|", ">", sentence()]) for _ in range(4))
        source.shuffle(texts)
        return "".join(texts)

    def surrogates() -> str:
        units = ["\ud83d", "\ude00", "\ud800", "\udfff", "a", " ", "\ud83d\ude00"]
        return pick(units, 12)

    makers: list[Callable[[], str]] = [
        excerpt,
        sentence,
        sentence,
        code_points,
        marks,
        specials,
        specials,
        surrogates,
        lambda: pick(WHITESPACE, 12) + source.choice(["", "a", "1", "!", "中"]) + pick(WHITESPACE, 6),
        lambda: pick(" \n\r\t", 16) + source.choice(["", "x", "9", "?"]) + pick("\r\n ", 6),
        lambda: "".join(chr(source.randrange(0x20)) for _ in range(source.randint(0, 12))) + pick("a1 \x7f\x80\x9f", 8),
        lambda: source.randbytes(source.randint(0, 60)).decode("utf-8", "replace"),
        lambda: source.randbytes(source.randint(0, 60)).decode("latin-1"),
        lambda: "".join(source.choice(["I", "x", "2", "中", " ", "!"]) + source.choice(CONTRACTIONS) for _ in range(source.randint(1, 6))),
        lambda: pick("0123456789٣½Ⅷ²一 .,", 20),
        lambda: pick(JAMO, 12),
        lambda: pick(COMPOSED, 10),
        lambda: "".join(source.choice([sentence, code_points, marks, excerpt])() for _ in range(3)),
        lambda: source.choice("ab1 !中\n\u0301") * source.randint(1, 400),
        lambda: pick("abcdefghijklmnopqrstuvwxyz", 400),
    ]
    strings = ["", " ", "\n", "\ud800", "\ufeff", "\ufeffa", "\x00"]
    while len(strings) < COUNT:
        strings.append(makers[len(strings) % len(makers)]())
    return strings
