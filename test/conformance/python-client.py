"""What a user of python3-docker does; prints the outcome as JSON for python.test.ts to judge."""
import io
import json
import tarfile

import docker

client = docker.from_env()
result = {"ping": client.ping(), "version": client.version()["Os"]}

result["run"] = client.containers.run("busybox", ["echo", "hello"], remove=True).decode()
try:
    client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 5"], remove=True)
except docker.errors.ContainerError as error:
    result["error"] = [error.exit_status, error.stderr.decode()]

box = client.containers.run(
    "busybox", ["sh", "-c", "echo one; echo two; exec sleep 1000"], name="python-box", detach=True
)
lines = box.logs(stream=True, follow=True)
result["follow"] = [next(lines).decode(), next(lines).decode()]
result["tail"] = box.logs(tail=1).decode()
code, output = box.exec_run(["sh", "-c", "echo in; exit 2"])
result["exec"] = [code, output.decode()]
code, (out, err) = box.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
result["demux"] = [out.decode(), err.decode()]
result["top"] = box.top()["Titles"][0]
result["stats"] = box.stats(stream=False)["name"]

archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    info = tarfile.TarInfo("note")
    info.size = 4
    tar.addfile(info, io.BytesIO(b"text"))
result["put"] = box.put_archive("/tmp", archive.getvalue())
chunks, stat = box.get_archive("/tmp/note")
with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
    result["get"] = [stat["name"], stat["size"], tar.extractfile("note").read().decode()]

box.pause()
box.reload()
result["paused"] = box.status
box.unpause()
box.rename("python-renamed")
result["names"] = [item.name for item in client.containers.list(filters={"name": "python-renamed"})]
box.stop(timeout=0)
result["wait"] = box.wait()["StatusCode"]
box.remove()
try:
    client.containers.get("python-renamed")
except docker.errors.NotFound as error:
    result["notFound"] = error.explanation
volume = client.volumes.create("py-data", labels={"kind": "test"}, driver_opts={})
result["volume"] = [volume.name, volume.attrs["Driver"], volume.attrs["Labels"]]
mounts = [
    docker.types.Mount("/data", "py-data"),
    docker.types.Mount("/host", "/etc", type="bind", read_only=True),
    docker.types.Mount("/scratch", None, type="tmpfs", tmpfs_size=65536, tmpfs_mode=0o750),
]
look = "echo kept > /data/f; touch /host/no 2>&1 | grep -c Read-only; stat -c %a /scratch; ls -d /plain"
result["mounts"] = client.containers.run(
    "busybox", ["sh", "-c", look], remove=True, mounts=mounts, volumes={"py-data": {"bind": "/plain", "mode": "ro"}}
).decode()
user = client.containers.create("busybox", "true", volumes=["/anonymous"], mounts=mounts[:1])
result["points"] = sorted([mount["Type"], mount["Destination"], mount["RW"]] for mount in user.attrs["Mounts"])
try:
    volume.remove()
except docker.errors.APIError as error:
    result["inUse"] = [error.status_code, "volume is in use" in error.explanation]
result["listed"] = [item.name for item in client.volumes.list(filters={"label": "kind=test", "dangling": False})]
user.remove(v=True)
volume.remove()
result["pruned"] = client.volumes.prune()["VolumesDeleted"]
try:
    client.volumes.get("py-data")
except docker.errors.NotFound as error:
    result["noVolume"] = error.explanation
print(json.dumps(result))
