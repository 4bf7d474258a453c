"""The three kinds; everything iterates over `KINDS`, so that a fourth is one file and one entry here."""

from qianfan_operator.kinds.job import JobKind
from qianfan_operator.kinds.model import ModelKind
from qianfan_operator.kinds.service import ServiceKind

KINDS = (JobKind(), ModelKind(), ServiceKind())
BY_PLURAL = {kind.plural: kind for kind in KINDS}
