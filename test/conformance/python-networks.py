"""Networks with Docker's SDK for Python: create, connect, inspect, disconnect, prune. Prints what it saw, as JSON."""
import json

import docker

client = docker.from_env()
result = {}

pool = docker.types.IPAMPool(
    subnet="10.88.0.0/24", gateway="10.88.0.254", iprange="10.88.0.128/25", aux_addresses={"one": "10.88.0.128"}
)
net = client.networks.create(
    "python-net",
    driver="bridge",
    ipam=docker.types.IPAMConfig(pool_configs=[pool]),
    labels={"made": "here"},
    options={"com.docker.network.driver.mtu": "1400"},
    attachable=True,
)
web = client.containers.run("busybox", ["sleep", "1000"], name="python-web", network="python-net", detach=True)
db = client.containers.run("busybox", ["sleep", "1000"], name="python-db", detach=True)
net.connect(db, aliases=["store"], ipv4_address="10.88.0.7")
net.reload()
result["created"] = [net.attrs["IPAM"]["Config"][0], net.attrs["Labels"], net.attrs["Options"], net.attrs["Attachable"]]
result["containers"] = sorted(item.name for item in net.containers)
web.reload()
db.reload()
networks = web.attrs["NetworkSettings"]["Networks"]
result["web"] = networks["python-net"]["IPAddress"]
result["db"] = sorted(db.attrs["NetworkSettings"]["Networks"])
result["resolves"] = web.exec_run(["ping", "-c", "1", "-W", "5", "store"]).exit_code
result["listed"] = [item.name for item in client.networks.list(filters={"label": "made=here"})]
try:
    net.connect(db)
except docker.errors.APIError as error:
    result["twice"] = [error.status_code, error.explanation]
try:
    net.remove()
except docker.errors.APIError as error:
    result["inUse"] = [error.status_code, "has active endpoints" in error.explanation]
try:
    client.networks.create("python-net")
except docker.errors.APIError as error:
    result["taken"] = [error.status_code, error.explanation]
net.disconnect(db)
result["gone"] = web.exec_run(["ping", "-c", "1", "-W", "1", "store"]).exit_code
for box in (web, db):
    box.remove(force=True)
result["pruned"] = client.networks.prune(filters={"label": "made=here"})["NetworksDeleted"]
try:
    client.networks.get("python-net")
except docker.errors.NotFound as error:
    result["notFound"] = error.explanation
print(json.dumps(result))
