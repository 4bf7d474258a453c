"""The registry of the kinds."""

from qianfan_operator.kinds.job.kind import JobKind
from qianfan_operator.kinds.model.kind import ModelKind
from qianfan_operator.kinds.service.kind import ServiceKind

KINDS = (JobKind(), ModelKind(), ServiceKind())

BY_PLURAL = {kind.plural: kind for kind in KINDS}
