# ruff: noqa: RUF001 (Chinese has its own punctuation)
"""Questions with short answers that nobody disputes, in English and Chinese, each with what a right answer has one of (in lower case)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    question: str
    right: tuple[str, ...]

    def is_right(self, answer: str) -> bool:
        return any(word in answer.lower() for word in self.right)


ENGLISH = (
    Fact("What is the capital of France?", ("paris",)),
    Fact("What is the capital of Japan?", ("tokyo",)),
    Fact("What is the largest planet in the solar system?", ("jupiter",)),
    Fact("How many days are there in a week?", ("seven", "7")),
    Fact("What do bees make?", ("honey",)),
    Fact("What is the chemical symbol for gold?", ("au",)),
    Fact("Who wrote Romeo and Juliet?", ("shakespeare",)),
    Fact("What is the boiling point of water in Celsius?", ("100",)),
    Fact("How many legs does a spider have?", ("eight", "8")),
    Fact("What is the opposite of hot?", ("cold",)),
    Fact("What gas do plants take in from the air?", ("carbon dioxide", "co2", "co₂")),
    Fact("What is the largest ocean on Earth?", ("pacific",)),
    Fact("In which country are the pyramids of Giza?", ("egypt",)),
    Fact("How many continents are there?", ("seven", "7")),
    Fact("What is frozen water called?", ("ice",)),
    Fact("Which planet is known as the Red Planet?", ("mars",)),
    Fact("What is the square root of 81?", ("9", "nine")),
    Fact("What language is spoken in Brazil?", ("portuguese",)),
    Fact("What is the tallest mountain in the world?", ("everest",)),
    Fact("Who painted the Mona Lisa?", ("leonardo", "da vinci")),
)

CHINESE = (
    Fact("中国的首都是哪里？", ("北京",)),
    Fact("日本的首都是哪里？", ("东京",)),
    Fact("太阳系中最大的行星是哪一颗？", ("木星",)),
    Fact("一个星期有几天？", ("七", "7")),
    Fact("蜜蜂酿造什么？", ("蜜",)),
    Fact("金的化学符号是什么？", ("au",)),
    Fact("《红楼梦》的作者是谁？", ("曹雪芹",)),
    Fact("在标准大气压下，水的沸点是多少摄氏度？", ("100", "一百")),
    Fact("蜘蛛有几条腿？", ("八", "8")),
    Fact("“热”的反义词是什么？", ("冷", "凉")),
    Fact("植物从空气中吸收什么气体？", ("二氧化碳", "co2", "co₂")),
    Fact("世界上最大的海洋是哪个？", ("太平洋",)),
    Fact("吉萨金字塔在哪个国家？", ("埃及",)),
    Fact("一年有几个季节？", ("四", "4")),
    Fact("水结冰后叫什么？", ("冰",)),
    Fact("81 的平方根是多少？", ("9", "九")),
    Fact("巴西人说什么语言？", ("葡萄牙",)),
    Fact("世界上最高的山峰是什么？", ("珠穆朗玛", "珠峰")),
    Fact("中国最长的河流是哪一条？", ("长江",)),
    Fact("《蒙娜丽莎》是谁画的？", ("达·芬奇", "达芬奇", "列奥纳多", "莱昂纳多")),
)

_BY_KIND: Mapping[str, Sequence[Fact]] = {"english": ENGLISH, "chinese": CHINESE}


def facts_for(kinds: Sequence[str]) -> list[Fact]:
    """In the languages of `data.chat_kinds`, English first."""
    return [fact for kind, facts in _BY_KIND.items() if kind in kinds for fact in facts]
