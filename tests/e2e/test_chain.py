"""From three manifests to an endpoint's URL."""

from e2e.place import JOB, MODEL, SAMPLES, SERVICE, Place, condition


def test_three_manifests_become_an_endpoint(place: Place) -> None:
    """The sample chain ends in a URL that `kubectl wait` waits for and `kubectl get` shows; each call is made once."""
    place.apply(SAMPLES / "chain.yaml")
    place.kubectl("wait", "--for=condition=Ready", "qianfanservice/essay", "--timeout=60s")

    url = place.until_ready(SERVICE)["status"]["url"]
    assert url.endswith("_essay")
    assert place.paid() == {"createTask": 1, "createJob": 1, "publishTrainModel": 1, "apply": 1}
    seen = place.kubectl("get", "qfj,qfm,qfs", "-o", "wide")
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


def test_the_vendors_example_is_asked_for_as_the_vendor_writes_it(place: Place) -> None:
    """The manifest of the vendor's example makes the task and the run of the vendor's dictionary, and they train."""
    place.apply(SAMPLES / "vendor-example.yaml")
    place.until_ready(JOB, "vendor-example")

    run = place.run("vendor-example")
    assert run.task.name == "task_name"
    assert run.task.description.endswith("] task_desc")
    assert (run.train_type, run.peft, run.task.mode) == ("ERNIE-Bot-turbo-0725", "LoRA", "SFT")
    assert run.config == {"epoch": 4, "learningRate": 0.00002, "batchSize": 4, "maxSeqLen": 4096}
    assert run.dataset == [{"type": 1, "id": 1234}]
