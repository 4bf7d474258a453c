"""How the console says no: three layers, three forms, and the words of each code.

See docs/design/wire.md#replies-and-errors, docs/design/wire.md#error-codes.
"""

# The texts of the 70xxx codes are Chinese on the wire and not on record; these are their meanings.
V1_MESSAGES = {
    1: "Unknown error",
    2: "Service temporarily unavailable",
    3: "Unsupported openapi method",
    4: "Open api request limit reached",
    6: "No permission to access data",
    13: "Get service token failed",
    14: "IAM Certification failed",
    15: "app not exsits or create failed",
    17: "Open api daily request limit reached",
    18: "Open api qps request limit reached",
    19: "Open api total request limit reached",
    100: "Invalid parameter",
    110: "Access token invalid or no longer valid",
    111: "Access token expired",
    1000: "system error",
    10001: "model does not exist",
    21002: "model version state abnormal",
    70002: "reading the existing model failed",
    70101: "model name already exists",
    70114: "cannot read the training run's information",
    70115: "training artefact storage abnormal",
    70118: "this run is already published under this model",
    70128: "may not publish a training run into an imported model",
    70130: "model type mismatch",
    70131: "model name empty",
    336000: "Internal error",
    336001: "Invalid Argument",
    336002: "Invalid JSON",
    336003: "Invalid Param",
    336004: "Permission error",
    336005: "API name not exist",
    336100: "try again, the server is under high load",
    336101: "invalid http method",
    500000: "internal server error",
    500001: "param invalid",
    500002: "auth failed, no access",
    510101: "dataset entity count not enough, at least 32",
    510102: "dataset config error",
    510201: "task name exist",
    510202: "task not exist",
    510203: "task count over limit",
    510301: "job not exist",
    510302: "job status invalid",
    510401: "train config error",
    510402: "job training count over limit",
    510403: "charge quote not enough",
    510404: "job not support incre train",
}

_NOT_APPROPRIATE = "The JSON you provided was well-formed and valid, but not appropriate for this operation."


class ConsoleError(Exception):
    """A V1 refusal: HTTP 200 with an integer `error_code`."""

    def __init__(self, code: int, message: str = "") -> None:
        self.code = code
        self.message = message or V1_MESSAGES.get(code, "unknown error")
        super().__init__(f"{code} {self.message}")


class ActionError(Exception):
    """A V2 refusal: HTTP 400 or above with a word as `code`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{status} {code}: {message}")


class IamError(ActionError):
    """A request that IAM turned away: as V2, and the same in two `X-Bce-Error-` headers."""


def param_invalid(_key: str) -> ConsoleError:
    """V1's answer to a missing, mistyped or too long parameter; it does not say which."""
    return ConsoleError(500001)


def inappropriate(key: str, what: str = "invalid") -> ActionError:
    """V2's answer to the same, and to everything whose own code is UNKNOWN.

    See docs/design/wire.md#unknown.
    """
    return ActionError(400, "InappropriateJSON", f"{_NOT_APPROPRIATE} param[{key}] {what}.")


def malformed() -> ActionError:
    """V2's answer to a body that is not a JSON object."""
    return ActionError(400, "MalformedJSON", "The JSON you provided was not well-formed.")


def denied() -> ActionError:
    """V2's answer to somebody who may not."""
    return ActionError(403, "AccessDenied", "Access denied.")


def not_simulated(target: str) -> ActionError:
    """Refuse a call that the cloud may have and the simulator has not; unlike any answer of the cloud, on purpose."""
    message = f"The simulator does not serve {target[:200]}; /_sim/ lists the operations that it serves."
    return ActionError(501, "NotSimulated", message)


def no_such_uri() -> ActionError:
    """Return the answer to a path or an action that does not exist."""
    return ActionError(404, "InvalidURI", "Could not parse the specified URI.")
