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


class Repository:
    """Its commits, the newest last: the content of each file by path."""

    def __init__(self, private=False):
        self.private, self.commits = private, {"0" * 40: {}}

    def commit(self, files):
        name = hashlib.sha1(repr((len(self.commits), sorted(files.items()))).encode()).hexdigest()
        self.commits[name] = dict(files)
        return name


class Hub(ThreadingHTTPServer):
    """Its repositories by name, what was asked of it, and the large files that were uploaded."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.asked, self.large = {}, [], {}
        self.address = f"http://127.0.0.1:{self.server_port}"

    def holding(self, name, files):
        """Let the newest commit of a repository have these files."""
        self.repositories.setdefault(name, Repository()).commit(files)


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
            given["repo"] = repo = self.server.repositories.get(given.pop("name"))
            if repo is None or (repo.private and not token):
                return self.answer(status=404 if token else 401, X_Error_Code="RepoNotFound")
        if "revision" in given:
            newest = given["revision"] in (None, "main")
            given["revision"] = [*repo.commits][-1] if newest else given["revision"]
            if given["revision"] not in repo.commits:
                return self.answer(status=404, X_Error_Code="RevisionNotFound")
        return act(self, **given)

    do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815  (their names)

    def create(self):
        asked = json.loads(self.body)
        name, known = f"{asked['organization']}/{asked['name']}", self.server.repositories
        private = asked.get("visibility") == "private" or asked.get("private") is True
        status = 409 if name in known else 200
        known.setdefault(name, Repository(private))
        self.answer({"url": f"{self.server.address}/{name}"}, status)

    def validate(self):
        wrong = "\nlicense: mit\n" not in json.loads(self.body)["content"]
        errors = [{"message": '"license" must be one of the list'}] * wrong
        self.answer({"errors": errors, "warnings": []}, 400 if wrong else 200)

    def about(self, repo, revision):
        files = [{"rfilename": path} for path in repo.commits[revision]]
        known = {"id": "user/name", "sha": revision, "private": repo.private, "siblings": files}
        self.answer(known | {"tags": [], "downloads": 0, "likes": 0})

    def tree(self, repo, revision):
        files = repo.commits[revision].items()
        self.answer([{"type": "file", "path": p, "size": len(b), "oid": oid(b)} for p, b in files])

    def preupload(self, repo, revision):
        paths = [file["path"] for file in json.loads(self.body)["files"]]
        modes = {p: "lfs" if p.endswith((".safetensors", ".png")) else "regular" for p in paths}
        told = [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]
        self.answer({"files": told})

    def batch(self, repo):
        asked, to = json.loads(self.body)["objects"], f"{self.server.address}/lfs"
        told = [each | {"actions": {"upload": {"href": f"{to}/{each['oid']}"}}} for each in asked]
        self.answer({"transfer": "basic", "objects": told})

    def upload(self, oid):
        self.server.large[oid] = self.body
        self.answer()

    def commit(self, repo, revision):
        files = dict(repo.commits[revision])
        for line in self.body.splitlines():
            key, value = json.loads(line).values()
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        commit = repo.commit(files)
        url = f"{self.server.address}/user/name/commit/{commit}"
        self.answer({"commitUrl": url, "commitOid": commit, "pullRequestUrl": None})

    def resolve(self, repo, revision, path):
        content = repo.commits[revision].get(path)
        if content is None:
            return self.answer(status=404, X_Error_Code="EntryNotFound")
        return self.answer(content, ETag=f'"{oid(content)}"', X_Repo_Commit=revision)


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
