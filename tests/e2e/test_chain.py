"""From three manifests to an endpoint's URL."""

from e2e.place import JOB, MODEL, SAMPLES, SERVICE, Place, condition


def test_three_manifests_become_an_endpoint(place: Place) -> None:
    """The sample chain ends in a URL that `kubectl wait` waits for and `kubectl get` shows; each call is made once."""
    place.apply(SAMPLES / "chain.yaml")
    place.kubectl("wait", "--for=condition=Ready", "qianfanservice/essay", "--timeout=60s")

    url = place.until_ready(SERVICE)["status"]["url"]
    assert url.endswith("_essay")
    assert place.paid() == {"createTask": 1, "createJob": 1, "publishTrainModel": 1, "apply": 1}
    seen = place.kubectl("get", "qfj,qfm,qfs")
    assert url in seen
    assert [line.split()[:3] for line in seen.splitlines() if line.startswith("qianfan")] == [
        ["qianfanjob.qianfan.dev/essay", "True", "Succeeded"],
        ["qianfanmodel.qianfan.dev/essay", "True", "Available"],
        ["qianfanservice.qianfan.dev/essay", "True", "Available"],
    ]


def test_describe_tells_what_happened(place: Place) -> None:
    """`kubectl describe` shows each object's stages as events, and its conditions with their sentences."""
    place.apply(SAMPLES / "chain.yaml")
    service = place.until_ready(SERVICE)

    assert place.until_told(JOB, "Succeeded") == ["Creating", "Training", "Succeeded"]
    assert place.until_told(MODEL, "Available") == ["DependencyNotReady", "Publishing", "Available"]
    stages = place.until_told(SERVICE, "Available")
    assert stages[0] == "DependencyNotReady"
    assert stages[-3:] == ["PaymentRequired", "Deploying", "Available"]
    told = place.kubectl("describe", "qfs", "essay")
    assert service["status"]["url"] in told
    assert condition(service, "Ready")["message"] in told
    assert "PaymentRequired" in told.partition("\nEvents:")[2]
