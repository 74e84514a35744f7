"""`evaluate`: how well a model predicts text, finds facts in it, and does in the tasks of `lm-eval`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from .progress import CountLine
from .values import Commands, positive, positive_number, share

if TYPE_CHECKING:
    from spikingbrain.evaluate.subject import Subject

MAX_LENGTH = 2_048


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure perplexity, retrieval, or tasks of lm-eval",
        description="The last line of each measurement is one JSON object. Text is this repository's own unless files are named.",
    )
    kinds = parser.add_subparsers(title="measurements", required=True, metavar="MEASUREMENT")
    _add_perplexity(kinds)
    _add_needle(kinds)
    _add_lm_eval(kinds)


def _add_perplexity(kinds: Commands) -> None:
    parser = kinds.add_parser("perplexity", help="of text")
    _add_model(parser, required=True)
    _add_text(parser)
    parser.add_argument("--length", type=positive, default=1_024, metavar="N", help="tokens after which a text begins anew (1024)")
    parser.add_argument("--limit", type=positive, metavar="N", help="score at most N tokens in all")
    parser.set_defaults(run=run_perplexity)


def _add_needle(kinds: Commands) -> None:
    parser = kinds.add_parser("needle", help="retrieval of a fact from a long text")
    _add_model(parser, required=True)
    _add_text(parser)
    parser.add_argument("--length", type=positive, action="append", metavar="N", help="tokens of a prompt; may repeat (256, 1024)")
    parser.add_argument("--depth", type=share, action="append", metavar="D", help="0 begin to 1 end; may repeat (0, 0.5, 1)")
    parser.add_argument("--trials", type=positive, default=5, metavar="N", help="facts per length and depth (5)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.set_defaults(run=run_needle)


def _add_lm_eval(kinds: Commands) -> None:
    parser = kinds.add_parser("lm-eval", help="tasks of EleutherAI's harness, for the reference model or a server")
    _add_model(parser, required=False)
    parser.add_argument("--url", metavar="URL", help="a server's completions endpoint, such as http://127.0.0.1:8787/v1/completions")
    parser.add_argument("--served-name", metavar="NAME", help="the model's name on that server")
    parser.add_argument("--tokenizer", type=Path, metavar="PATH", help="folder or .gguf with that model's tokenizer")
    parser.add_argument("--tasks", required=True, metavar="NAMES", help="names of tasks joined by commas")
    parser.add_argument("--include-path", type=Path, metavar="DIR", help="folder with definitions of further tasks")
    parser.add_argument("--limit", type=positive, metavar="N", help="at most N questions of each task")
    parser.add_argument(
        "--max-length", type=positive, default=MAX_LENGTH, metavar="N", help=f"tokens of a prompt and its answer ({MAX_LENGTH})"
    )
    parser.set_defaults(run=run_lm_eval, parser=parser)


def _add_model(parser: argparse.ArgumentParser, required: bool) -> None:
    parser.add_argument("--model", type=Path, required=required, metavar="PATH", help="Hugging Face folder or .gguf file")
    parser.add_argument("--spikes", choices=("off", "paper", "released"), help="spiking mode (that of the model's config, or off)")
    parser.add_argument("--k", type=positive_number, metavar="K", help="a token's threshold is mean|x| / K (3)")
    parser.add_argument("--type", choices=("f32", "bf16"), default="f32", help="type the model computes in (f32)")


def _add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", type=Path, action="append", metavar="FILE", help="a text file; may repeat")


def run_perplexity(arguments: argparse.Namespace) -> None:
    subject, documents = _subject(arguments), _documents(arguments)
    from spikingbrain.evaluate.perplexity import perplexity

    progress = CountLine("scoring", "tokens")
    found = perplexity(subject.scorer, subject.tokenizer, documents, arguments.length, arguments.limit, progress)
    facts = {"tokens": found.tokens, "bytes": found.bytes, "perplexity": found.perplexity, "bits_per_byte": found.bits_per_byte}
    print(f"{found.tokens:,} tokens: perplexity {found.perplexity:.3f}, {found.bits_per_byte:.4f} bits per byte")
    print(json.dumps(facts))


def run_needle(arguments: argparse.Namespace) -> None:
    subject, documents = _subject(arguments), _documents(arguments)
    from spikingbrain.evaluate.needle import needle

    lengths, depths = arguments.length or [256, 1_024], arguments.depth or [0.0, 0.5, 1.0]
    text, progress = "\n".join(documents), CountLine("asking", "cells")
    scores = needle(subject.scorer, subject.tokenizer, text, lengths, depths, arguments.trials, arguments.seed, progress)
    print(f"{'tokens':>8}  {'depth':>5}  {'chosen of ten':>13}  {'exact':>7}")
    for score in scores:
        print(f"{score.length:>8,}  {score.depth:>5.2f}  {score.chosen:>6} of {score.trials:<3}  {score.exact:>3} of {score.trials}")
    print(json.dumps({"needle": [vars(score) for score in scores]}))


def run_lm_eval(arguments: argparse.Namespace) -> None:
    if (arguments.model is None) == (arguments.url is None):
        arguments.parser.error("one of --model and --url is needed, and not both")
    if arguments.url is not None and (arguments.served_name is None or arguments.tokenizer is None):
        arguments.parser.error("--url needs --served-name and --tokenizer")
    from spikingbrain.evaluate.lm_eval_run import evaluate_reference, evaluate_server

    tasks = arguments.tasks.split(",")
    if arguments.url is None:
        results = evaluate_reference(_subject(arguments), tasks, arguments.max_length, arguments.include_path, arguments.limit)
    else:
        server = (arguments.url, arguments.served_name, arguments.tokenizer)
        results = evaluate_server(*server, tasks, arguments.max_length, arguments.include_path, arguments.limit)
    print(json.dumps({"results": results}, default=str))


def _subject(arguments: argparse.Namespace) -> "Subject":
    import torch

    from spikingbrain.evaluate.subject import load_subject

    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.type]
    return load_subject(arguments.model, spikes=arguments.spikes, k=arguments.k, dtype=dtype)


def _documents(arguments: argparse.Namespace) -> list[str]:
    from spikingbrain.evaluate.corpus import read_documents, repository_documents

    return read_documents(arguments.text) if arguments.text else repository_documents()
