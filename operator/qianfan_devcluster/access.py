"""Who may talk to the API server and how they are told: bearer tokens and kubeconfig files.

Kubeconfigs are written as JSON, which every reader of YAML takes.
"""

import base64
import json
from pathlib import Path


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read; returns the path."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def write_kubeconfig(path: Path, *, server: str, certificate_authority: Path, user: str, token: str) -> Path:
    """Write a kubeconfig that holds all it needs, so that it can be copied elsewhere; returns the path."""
    authority = base64.b64encode(certificate_authority.read_bytes()).decode()
    name = "qianfan-devcluster"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    return write_private(path, json.dumps(config, indent=2) + "\n")
