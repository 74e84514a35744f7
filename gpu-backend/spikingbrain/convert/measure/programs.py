"""The stage `programs`: how many small functions, asked for in a chat, run and do what was asked.

Prompt and answer are within the window, so the model writes what its teacher does, to the bit, and one is asked for both. What it writes is
run in a process of its own, with no more than seconds and some memory, in a folder that is thrown away.
"""

import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from spikingbrain.convert.data.chat_template import USER
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.convert.measure.program_tasks import TASKS
from spikingbrain.convert.trunk.cache import continue_greedily
from spikingbrain.convert.work import Work

SECONDS = 5
MEMORY_BYTES = 1 << 29
BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
END = "<|im_end|>"


def programs(work: Work) -> None:
    settings = work.settings.programs
    if settings.count == 0:
        work.report("programs: none in the settings")
        return
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    tasks = TASKS[: settings.count]
    asked = [f"{work.opening}{USER}Write a Python function {task.wanted}.{END}\n<|im_start|>assistant\n" for task in tasks]
    prompts = [list(tokenizer.encode(text, add_special_tokens=False).ids) for text in asked]
    answers = [
        tokenizer.decode(ids, skip_special_tokens=False).split(END)[0] for ids in continue_greedily(work.trunk, prompts, settings.tokens)
    ]
    found = [
        {"task": task.wanted, "answer": answer, "runs": runs(program_of(answer), task.checks)}
        for task, answer in zip(tasks, answers, strict=True)
    ]
    (work.folder / "programs.json").write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    work.report(f"programs: {sum(bool(one['runs']) for one in found)} of {len(found)} do what was asked")


def program_of(answer: str) -> str:
    """Its first block of code; the whole where there is none."""
    block = BLOCK.search(answer)
    return answer if block is None else block.group(1)


def runs(program: str, checks: str, seconds: int = SECONDS) -> bool:
    """Whether the program ends by itself, within so many seconds of processor time, and its checks hold."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "program.py").write_text(f"{program}\n\n{checks}\n", encoding="utf-8")
        command = [sys.executable, "-I", "-S", "program.py"]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=4 * seconds,
                preexec_fn=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0
