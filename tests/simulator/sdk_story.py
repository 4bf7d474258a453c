"""The code of the vendor's documentation, run by the vendor's SDK in a process of its own. Only ids and waits are ours.

The waits are looks: the simulator lets everything take two. Prints what came out as JSON.
"""

import json
import os
import sys
import urllib.request

from qianfan.resources import FineTune, Model, Service

told = {}

resp = FineTune.create_task(name="task_name", description="task_desc")
task_id = resp["result"]["id"]

create_job_resp = FineTune.create_job(
    {
        "taskId": task_id,
        "baseTrainType": "ERNIE-Bot-turbo",
        "trainType": "ERNIE-Bot-turbo-0725",
        "trainMode": "SFT",
        "peftType": "LoRA",
        "trainConfig": {"epoch": 4, "learningRate": 0.00002, "batchSize": 4, "maxSeqLen": 4096},
        "trainset": [{"type": 1, "id": 1234}],
        "trainsetRate": 20,
    }
)
job_id = create_job_resp["result"]["id"]

job = FineTune.get_job(task_id, job_id)
told["first"] = job["result"]["trainStatus"]
while job["result"]["trainStatus"] == "RUNNING":
    job = FineTune.get_job(task_id, job_id)
told["last"] = job["result"]["trainStatus"]

g = Model.publish(
    is_new=True,
    model_name="sdk_test_1",
    version_meta={"taskId": task_id, "iterationId": job_id},
)
model_id, version_id = g["result"]["modelId"], g["result"]["versionId"]

model = Model.detail(model_version_id=version_id)
while model["result"]["state"] == "Creating":
    model = Model.detail(model_version_id=version_id)
told["model"] = model["result"]["modelName"]
told["state"] = model["result"]["state"]

model_list = Model.list(model_id=model_id)
told["listed"] = model_list["result"]["modelVersionList"][0]["modelName"]

g = Service.create(
    model_id=model_id,
    model_version_id=version_id,
    name="sdk_test",
    uri="svc_uri",
    replicas=1,
    pool_type=2,
)
service_id = g["result"]["serviceId"]
# What a person does in the web console.
base = os.environ["QIANFAN_CONSOLE_API_BASE_URL"].rstrip("/")
pay = urllib.request.Request(f"{base}/_sim/pay?id={service_id}", method="POST")
urllib.request.urlopen(pay).close()

svc = Service.get(id=service_id)
told["same"] = svc["result"]["id"] == service_id
while svc["result"]["serviceStatus"] == "Deploying":
    svc = Service.get(id=service_id)
told["service"] = svc["result"]["serviceStatus"]

second = FineTune.create_job(
    {
        "taskId": task_id,
        "baseTrainType": "ERNIE-Bot-turbo",
        "trainType": "ERNIE-Bot-turbo-0725",
        "trainMode": "SFT",
        "peftType": "LoRA",
        "trainConfig": {"epoch": 4, "learningRate": 0.00002, "batchSize": 4, "maxSeqLen": 4096},
        "trainset": [{"type": 1, "id": 1234}],
        "trainsetRate": 20,
    }
)
stop = FineTune.stop_job(task_id, second["result"]["id"])
told["stopped"] = stop["result"]

try:
    FineTune.create_task(name="task_name", description="task_desc")
except Exception as error:
    told["error"] = str(error)

try:
    FineTune.create_task(name="with_keys", ak=os.environ["QIANFAN_ACCESS_KEY"], sk="wrong")
except Exception as error:
    told["denied"] = str(error)

sys.stdout.write(json.dumps(told))
