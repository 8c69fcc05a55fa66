"""Train one of the networks: segmenter, fitter (or its lifter alone), locator, doubt, or that of a baseline."""

from collections.abc import Sequence
from importlib import import_module

from nbf.cli._output import log_to, say
from nbf.cli._usage import UsageError, parsed

# Each of them has a module of its own, but for the lifter, which is the second half of the fitter.
VERBS = ("segmenter", "fitter", "lifter", "locator", "doubt", "hmr", "pavlakos", "selfsup", "omran")


def main(arguments: Sequence[str]) -> int:
    """`nbf train NETWORK [options]`; 0 when the weights are written."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: nbf train {{{','.join(VERBS)}}} [options]\n\nnbf train NETWORK --help lists the options.")
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        raise UsageError(f"{verb!r}: expected one of {', '.join(VERBS)}, as in `nbf train segmenter --loop.minutes 9`")
    # Imported here and not above: mistakes should not wait for torch, nor one network for what another needs.
    module = import_module(f"nbf.train.{'fitter' if verb == 'lifter' else verb}")
    from nbf import processes

    config = parsed(getattr(module, f"{verb.title()}Config"), f"train {verb}", rest)
    with processes.joined(config.loop.device):
        leads = processes.leads()
        if leads:
            log_to("stdout")
        getattr(module, f"train_{verb}")(config)
    if leads:
        say(f"weights and their record: {config.loop.folder / 'weights.safetensors'} (.json)")
    return 0
