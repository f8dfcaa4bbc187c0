"""What the offline runs of W&B in a run directory hold, read from the files that it would send."""

import json
import re
import struct
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from wandb.proto.wandb_internal_pb2 import Record


def records(folder):
    """Everything that an offline run of W&B would send, once its process has written all."""
    (path,) = folder.glob("*.wandb")
    for _ in range(300):
        content = leveldb_log(path.read_bytes()[7:], start=7)
        found = [Record.FromString(each) for each in content]
        if any(each.HasField("exit") for each in found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{path} has no end")


def leveldb_log(content, start):
    """The records of a LevelDB log, whose blocks are 32 KiB; the first ``start`` bytes are gone."""
    found, part, place, block = [], b"", 0, 32768
    while place + 7 <= len(content):
        left = block - (place + start) % block
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(part)
            part = b""
    return found


def by_key(items):
    """All values of each key, in their order."""
    found = {}
    for item in items:
        key = item.key or ".".join(item.nested_key)
        found.setdefault(key, []).append(json.loads(item.value_json))
    return found


class Held:
    """The parts of an offline run: what it is, its metrics, numbers and artifacts."""

    def __init__(self, directory):
        (folder,) = directory.glob("wandb/offline-run-*")
        found = records(folder)
        (self.run,) = (each.run for each in found if each.run.run_id)
        updates = [u for each in found for part in (each.run, each) for u in part.config.update]
        self.config = {key: values[-1] for key, values in by_key(updates).items()}
        self.metrics = {each.metric.name: each.metric for each in found if each.metric.name}
        self.history = by_key(item for each in found for item in each.history.item)
        summary = by_key(item for each in found for item in each.summary.update)
        self.summary = {key: values[-1] for key, values in summary.items()}
        self.artifacts = [each.artifact for each in found if each.artifact.name]

    def tables(self):
        """The columns and rows of each table, by the name that it was logged under."""
        found = {}
        for artifact in self.artifacts:
            if artifact.type == "run_table":
                files = {e.path: e.local_path for e in artifact.manifest.contents}
                (path,) = (path for path in files if path.endswith(".table.json"))
                content = read_json(files[path])
                for row in content["data"]:
                    for cell in row:
                        if isinstance(cell, dict):
                            cell["file"] = files[cell["path"]]
                found[path.removesuffix(".table.json")] = content
        return found


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Server(ThreadingHTTPServer):
    """A server as W&B's process expects it, with every artifact there already.

    It fails from the ``fails_at``-th request on, and knows nothing of ``unknown`` ones. ``asked``
    are the names of what was asked for.
    """

    def __init__(self, fails_at=10**9, unknown=()):
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked, self.fails_at = [], fails_at
        self.answers = {name: told for name, told in ANSWERS.items() if name not in unknown}

    def __enter__(self):
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


RUN = {
    **{"id": "UnVu", "name": "abc", "displayName": "run", "description": "", "config": "{}"},
    **{"sweepName": None, "historyLineCount": 0},
    "project": {"id": "UHJv", "name": "p", "entity": {"id": "e", "name": "me"}},
}
ANSWERS = {
    "UpsertBucket": {"upsertBucket": {"bucket": RUN, "inserted": True}},
    "Viewer": {"viewer": {"id": "1", "entity": "me", "flags": "{}", "username": "me",
                          "teams": {"edges": []}, "apiKeys": {"edges": []}}},
    "ArtifactType": {"project": None},
    "CreateArtifact": {"createArtifact": {"artifact": {"id": "QQ", "state": "COMMITTED",
                       "artifactSequence": {"id": "UQ", "latestArtifact": None}}}},
    "UseArtifact": {"useArtifact": {"artifact": {"id": "QQ"}}},
    "CreateRunFiles": {"createRunFiles": {"runID": "UnVu", "uploadHeaders": [], "files": []}},
}  # fmt: skip


class Answers(BaseHTTPRequestHandler):
    """W&B's answers to what begins a run."""

    def log_message(self, *_):
        """Nothing."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.search(rb"(?:query|mutation)\s+(\w+)", body)
        name = found[1].decode() if found else self.path
        self.server.asked.append(name)
        fails = len(self.server.asked) >= self.server.fails_at
        content = (
            b"{}" if fails else json.dumps({"data": self.server.answers.get(name, {})}).encode()
        )
        self.send_response(500 if fails else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST  # noqa: N815
