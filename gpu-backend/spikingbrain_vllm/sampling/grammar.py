"""Texts that are held to a grammar and go on with an earlier attempt's tokens, which the grammar takes in before vLLM's own output."""

from typing import TYPE_CHECKING

from spikingbrain_vllm.sampling.request import ChosenHere

if TYPE_CHECKING:
    from vllm.v1.request import Request
    from vllm.v1.structured_output.backend_types import StructuredOutputGrammar

_MARK = "spikingbrain_goes_on"


def go_on_with_grammars() -> None:
    """Of this process, however often it is called."""
    from vllm.v1.structured_output import StructuredOutputManager

    create = StructuredOutputManager._create_grammar
    if hasattr(create, _MARK):
        return

    def created(manager: StructuredOutputManager, request: "Request") -> "StructuredOutputGrammar":
        grammar = create(manager, request)
        tokens = continued_tokens(request)
        if tokens and not grammar.accept_tokens(request.request_id, tokens):
            raise ValueError("structured_outputs must fit the tokens that have been sampled before")
        return grammar

    setattr(created, _MARK, True)
    StructuredOutputManager._create_grammar = created  # type: ignore[assignment, method-assign]


def continued_tokens(request: "Request") -> list[int]:
    """The prompt's last tokens that an earlier attempt at the same answer has sampled."""
    chosen = None if request.sampling_params is None else ChosenHere.of(request.sampling_params)
    prompt = request.prompt_token_ids or []
    return [] if chosen is None else prompt[len(prompt) - chosen.continued :]
