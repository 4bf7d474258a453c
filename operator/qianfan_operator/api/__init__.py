"""The custom resources: their models, validation rules, conditions, reasons and CRDs."""

from qianfan_operator.api.common import Resource
from qianfan_operator.api.job import QianfanJob
from qianfan_operator.api.model import QianfanModel
from qianfan_operator.api.service import QianfanService

KINDS: tuple[type[Resource], ...] = (QianfanJob, QianfanModel, QianfanService)

__all__ = ["KINDS", "QianfanJob", "QianfanModel", "QianfanService", "Resource"]
