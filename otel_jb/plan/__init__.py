"""Where to probe and how: symbols + catalogue + code + kernel + options → `ProbePlan`. Pure: it reads no file and no process."""

from otel_jb.plan.choose import make_plan
from otel_jb.plan.inputs import FileFacts, FunctionMeaning, KernelFacts, MatchedFunction, Options
from otel_jb.plan.peers import peer_note

__all__ = ["FileFacts", "FunctionMeaning", "KernelFacts", "MatchedFunction", "Options", "make_plan", "peer_note"]
