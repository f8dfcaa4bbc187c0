"""A server on this machine that speaks the part of the Hugging Face hub's API that we rely on."""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

WRITES, READS = "hf_writes", "hf_reads"
"""The tokens of somebody who may write everywhere, and of somebody who may not."""


class Hub(ThreadingHTTPServer):
    """What was asked of it, the large files that it was sent, and its repositories by name.

    The commits of one, the newest last, have the content of each file by path.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.commits, self.private, self.asked, self.large = {}, set(), [], {}
        self.address = f"http://127.0.0.1:{self.server_port}"

    def holding(self, name, files):
        """Let the newest commit of a repository have these files; its hash."""
        commits = self.commits.setdefault(name, {"0" * 40: {}})
        commit = hashlib.sha1(repr((len(commits), sorted(files.items()))).encode()).hexdigest()
        commits[commit] = dict(files)
        return commit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, content=None, status=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self):
        """Find what is asked for, and whether whoever asks may have it."""
        path = unquote(urlsplit(self.path).path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, path))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        method = self.command.replace("HEAD", "GET")
        fits = [(act, re.fullmatch(form, path)) for verb, form, act in ROUTES if verb == method]
        act, found = next((each for each in fits if each[1]), (None, None))
        if act is None:
            return self.answer(status=404)
        if method == "POST" and token != WRITES:
            return self.answer(status=403 if token == READS else 401, X_Error_Message="No")
        given = found.groupdict()
        if "name" in given:
            commits = self.server.commits.get(given["name"], {})
            if not commits or (given["name"] in self.server.private and not token):
                return self.answer(status=404 if token else 401, X_Error_Code="RepoNotFound")
        if "revision" in given:
            newest = given["revision"] in (None, "main")
            given["revision"] = [*commits][-1] if newest else given["revision"]
            if given["revision"] not in commits:
                return self.answer(status=404, X_Error_Code="RevisionNotFound")
            given["files"] = commits[given["revision"]]
        return act(self, **given)

    do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815  (their names)

    def create(self):
        asked, hub = json.loads(self.body), self.server
        name = f"{asked['organization']}/{asked['name']}"
        status = 409 if name in hub.commits else 200
        if status == 200 and (asked.get("visibility") == "private" or asked.get("private")):
            hub.private.add(name)
        hub.commits.setdefault(name, {"0" * 40: {}})
        self.answer({"url": f"{hub.address}/{name}"}, status)

    def validate(self):
        wrong = "\nlicense: mit\n" not in json.loads(self.body)["content"]
        errors = [{"message": '"license" must be one of the list'}] * wrong
        self.answer({"errors": errors, "warnings": []}, 400 if wrong else 200)

    def about(self, name, revision, files):
        known = {"id": name, "sha": revision, "private": name in self.server.private}
        names = [{"rfilename": path} for path in files]
        self.answer(known | {"siblings": names, "tags": [], "downloads": 0, "likes": 0})

    def tree(self, name, revision, files):
        rows = ({"path": p, "size": len(b), "oid": oid(b)} for p, b in files.items())
        self.answer([{"type": "file", **row} for row in rows])

    def preupload(self, name, revision, files):
        paths = [file["path"] for file in json.loads(self.body)["files"]]
        modes = {p: "lfs" if p.endswith((".safetensors", ".png")) else "regular" for p in paths}
        told = [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]
        self.answer({"files": told})

    def batch(self, name):
        asked, to = json.loads(self.body)["objects"], f"{self.server.address}/lfs"
        told = [each | {"actions": {"upload": {"href": f"{to}/{each['oid']}"}}} for each in asked]
        self.answer({"transfer": "basic", "objects": told})

    def upload(self, oid):
        self.server.large[oid] = self.body
        self.answer()

    def commit(self, name, revision, files):
        files = dict(files)
        for key, value in (json.loads(line).values() for line in self.body.splitlines()):
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        commit = self.server.holding(name, files)
        url = f"{self.server.address}/{name}/commit/{commit}"
        self.answer({"commitUrl": url, "commitOid": commit, "pullRequestUrl": None})

    def resolve(self, name, revision, files, path):
        if path not in files:
            return self.answer(status=404, X_Error_Code="EntryNotFound")
        return self.answer(files[path], ETag=f'"{oid(files[path])}"', X_Repo_Commit=revision)


def oid(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


MODEL, REVISION = "/api/models/(?P<name>[^/]+/[^/]+)", "(?P<revision>.+)"
ROUTES = (
    ("POST", "/api/repos/create", Handler.create),
    ("POST", "/api/validate-yaml", Handler.validate),
    ("GET", f"{MODEL}(?:/revision/{REVISION})?", Handler.about),
    ("GET", f"{MODEL}/tree/{REVISION}", Handler.tree),
    ("POST", f"{MODEL}/preupload/{REVISION}", Handler.preupload),
    ("POST", r"/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", "/lfs/(?P<oid>.+)", Handler.upload),
    ("POST", f"{MODEL}/commit/{REVISION}", Handler.commit),
    ("GET", "/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", Handler.resolve),
)


@contextmanager
def served():
    """A hub that runs in a thread."""
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
