"""The explorer's page on 127.0.0.1, and the model behind it."""

import errno
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from lightning_gen.errors import UserError
from lightning_gen.runs.explore.gather import Explored, draw_codes
from lightning_gen.runs.explore.page import page_of
from lightning_gen.runs.inputs import FileInputs
from lightning_gen.runs.outputs import to_bytes

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route
except ImportError as missing:
    raise UserError(
        f"explore takes starlette and uvicorn ({missing}). Install them: pip install "
        '"lightning-gen[explore]"'
    ) from missing

ADDRESS = "127.0.0.1"
MOST_CODES = 64
"""That are decoded at once."""
LARGEST_PHOTO = 64_000_000
"""Bytes of a file that is encoded."""
Answer = Callable[[Request], Awaitable[Response]]


def serve(explored: Sequence[Explored], port: int) -> None:
    """Answer until Ctrl-C; a UserError says that the port is taken."""
    with listener_on(port) as listener:
        print(f"http://{ADDRESS}:{listener.getsockname()[1]}/ until Ctrl-C", flush=True)
        server_of(explored).run([listener])


def listener_on(port: int) -> socket.socket:
    """A socket that waits for connections; a UserError where the port is taken."""
    # With the protocol named, asyncio sends each packet at once; else a picture waits for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
    except OSError as error:
        listener.close()
        said = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had ({error})"
        raise UserError(f"port {port} {said}. Pass another --port, or none.") from error
    listener.listen()
    return listener


def server_of(explored: Sequence[Explored]) -> uvicorn.Server:
    """What answers requests, as soon as it has a socket."""
    app = app_of(explored)
    return uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    )


def app_of(explored: Sequence[Explored]) -> Starlette:
    """The application: the page, and decode, encode and draw of the model.

    Numbers travel as little-endian float32, pixels as uint8 [N, C, H, W].
    """
    run, graphs = explored[0].run, explored[0].graphs
    length = explored[0].about["length"]
    page = page_of(explored)

    async def show(_: Request) -> Response:
        return HTMLResponse(page)

    async def decode(request: Request) -> Response:
        codes = floats(await body_of(request, 4 * length * MOST_CODES), length)
        which = explored[request.query_params.get("run") == "1" and len(explored) > 1]
        return Response(to_bytes(call(which, "decode", codes)).tobytes())

    async def encode(request: Request) -> Response:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "photo"
            file.write_bytes(await body_of(request, LARGEST_PHOTO))
            inputs = FileInputs(run, file, conditional=False)
            try:
                images = inputs.first(1).batch.images
            except UserError as error:
                said = re.sub(r" ?<[^>]*>", "", str(error))  # an open file as Pillow calls it
                return PlainTextResponse(said.removesuffix("; they are left out."))
        words = request.query_params.get("condition", "").split(",")
        condition = torch.tensor([[float(word) for word in words if word]])
        told = length - explored[0].about["free"]
        if condition.shape[1] != told or not condition.isfinite().all():
            raise ValueError(f"expected a condition of {told} numbers, got {len(words)}.")
        code = call(explored[0], "encode", images, condition.to(images))
        return Response(
            code.float().cpu().numpy().astype("<f4").tobytes() + to_bytes(images).tobytes()
        )

    async def draw(request: Request) -> Response:
        code = draw_codes(run, 1, float(request.query_params.get("temperature", "")))
        return Response(code.numpy().astype("<f4").tobytes())

    answers: dict[str, Answer] = {"decode": decode, "draw": draw}
    if "encode" in graphs:
        answers["encode"] = encode
    routes = [Route(f"/{name}", each, methods=["POST"]) for name, each in answers.items()]
    guards = [
        Middleware(TrustedHostMiddleware, allowed_hosts=[ADDRESS, "localhost"]),
        Middleware(BaseHTTPMiddleware, dispatch=refuse_other_origins),
    ]
    bad = {ValueError: refuse, ClientDisconnect: refuse}
    return Starlette(routes=[Route("/", show), *routes], middleware=guards, exception_handlers=bad)


async def refuse_other_origins(request: Request, go_on: Answer) -> Response:
    """Answer no other page than this one: a browser tells where a post comes from."""
    origin = request.headers.get("origin")
    if origin not in (None, f"http://{request.headers['host']}"):
        return PlainTextResponse("This page alone may ask.", 403)
    return await go_on(request)


async def refuse(_: Request, error: Exception) -> Response:
    """The line about a request that nobody but a stranger makes, or that the model refuses."""
    return PlainTextResponse(" ".join(str(error).split()), 400)


async def body_of(request: Request, most: int) -> bytes:
    """What was posted; more than ``most`` bytes are refused before they are read."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise HTTPException(413, f"More than {most:,} bytes.")
    return bytes(content)


def floats(content: bytes, length: int) -> torch.Tensor:
    """Codes [N, length]; a ValueError where they are none."""
    if not content or len(content) % (4 * length):
        raise ValueError(f"expected codes of {length} float32 each, got {len(content)} bytes.")
    codes = torch.frombuffer(bytearray(content), dtype=torch.float32).view(-1, length)
    if not codes.isfinite().all():
        raise ValueError("a number of the code is NaN or infinite.")
    return codes


@torch.inference_mode()
def call(explored: Explored, name: str, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
    """What a function of the model gives, of inputs that it has."""
    graph = explored.graphs[name]
    inputs = (first, *others)[: len(graph.inputs)]
    return graph.call(*(each.to(explored.run.model.device) for each in inputs))
