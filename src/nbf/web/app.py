"""The application: routes of the API, and the page for browsers, which is one of its clients."""

import asyncio
import gzip
import mimetypes
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from nbf import __version__
from nbf.limits import parse_box, parse_center
from nbf.predictor import Predictor
from nbf.web.guard import Guard
from nbf.web.limits import Limits
from nbf.web.metrics import Metrics
from nbf.web.problems import ErrorBody, Problem, answer_problems, gone
from nbf.web.results import Result, Results
from nbf.web.schema import AgeGroup, BodyModel, Health, PeopleFound, RefitRequest
from nbf.web.service import BODIES, PICTURES, Service
from nbf.web.worker import Worker

T = TypeVar("T")

PAGE = Path(__file__).with_name("page")
"""What web/ is built into."""

_SWEEP_SECONDS = 30.0
"""Between looks for results that nobody used."""
_PHOTO = {"schema": {"type": "string", "format": "binary"}}
_REFUSALS = (
    "What was wrong: 401 no token, 404 no such result any more, 408 too slow, 413 too large, 422 not usable, 503 busy "
    "(see Retry-After)"
)
_ERRORS: dict[int | str, dict[str, Any]] = {"default": {"model": ErrorBody, "description": _REFUSALS}}
_SUMMARY = "Photos in, 3D bodies out."
_DESCRIPTION = """\
Post a photo to `/v1/people`, ask for files of the result, correct it with `/v1/refit`. Results are kept in memory for a
while and forgotten then; nothing is stored. Lengths are metres, or pixels of the upright photo. Every error has one
shape.
"""


def create_app(predictor: Predictor, limits: Limits, token: str | None = None, *, local: bool = True) -> FastAPI:
    """A server's application; `token` and `local` as `nbf.web.guard.Guard` has them."""
    service = Service(predictor, limits)
    worker = Worker(limits.waiting, limits.answer_seconds)
    results = Results(60 * limits.keep_minutes, int(limits.keep_megabytes * 2**20))
    metrics = Metrics(worker, results)

    @asynccontextmanager
    async def living(_app: FastAPI) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(_SWEEP_SECONDS)
                results.forget_old()

        sweeper = asyncio.create_task(sweep())
        yield
        sweeper.cancel()
        worker.close()

    app = FastAPI(
        title="Neural Body Fitting",
        summary=_SUMMARY,
        description=_DESCRIPTION,
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=living,
        responses=_ERRORS,
        # These pages fetch scripts from other hosts.
        docs_url=None,
        redoc_url=None,
    )
    answer_problems(app)

    async def answered(request: Request, name: str, work: Callable[[], T]) -> T:
        """What `work` returns, unless whoever asked leaves before it has begun."""
        with metrics.timed(name):
            job = asyncio.ensure_future(worker.do(work))
            left = asyncio.ensure_future(_left(request))
            try:
                await asyncio.wait({job, left}, return_when=asyncio.FIRST_COMPLETED)
                if not job.done():
                    raise gone()
                return job.result()
            finally:
                job.cancel()
                left.cancel()

    async def file(request: Request, kind: str, work: Callable[[], bytes], name: str | None = None) -> Response:
        with worker.place():
            content = await answered(request, "file", work)
        headers = {} if name is None else {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=kind, headers=headers)

    def kept(result: Result) -> Response:
        results.keep(result)
        return Response(result.document, 201, {"Location": f"/v1/people/{result.id}"}, "application/json")

    @app.post(
        "/v1/people",
        status_code=201,
        response_model=PeopleFound,
        summary="Find everybody in a photo",
        openapi_extra={"requestBody": {"required": True, "content": {"image/jpeg": _PHOTO, "image/*": _PHOTO}}},
    )
    async def find(
        request: Request,
        focal: Annotated[
            str | None, Query(description="28mm (as on 35 mm film), 1200px or exif", examples=["28mm"])
        ] = None,
        center: Annotated[
            str | None, Query(description="x,y of the whole photo's middle, pixels", examples=["960,540"])
        ] = None,
        box: Annotated[list[str] | None, Query(description="x0,y0,x1,y1 of somebody, pixels; again for each")] = None,
        min_score: Annotated[float | None, Query(description="least probability of a person", gt=0, le=1)] = None,
        max_people: Annotated[int | None, Query(description="keep so many, the surest first", ge=1)] = None,
        height: Annotated[float | None, Query(description="everybody's, metres", examples=[1.78])] = None,
        sex: Annotated[str | None, Query(description="everybody's: female, male or 0 (male) to 1")] = None,
        age: Annotated[float | None, Query(description="everybody's, years")] = None,
        age_group: Annotated[AgeGroup | None, Query(description="everybody's")] = None,
        weight: Annotated[float | None, Query(description="everybody's, kilograms")] = None,
    ) -> Response:
        """The body is the photo itself (JPEG, PNG, WebP, TIFF, BMP, GIF, ...): `curl --data-binary @photo.jpg`."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise Problem(
                415, "multipart", "expected the photo itself as the body, got a form; curl --data-binary @photo.jpg"
            )
        facts = {"height": height, "sex": sex, "age": age, "age_group": age_group, "weight": weight}
        options: dict[str, Any] = {
            "focal": focal,
            "center": None if center is None else parse_center(center),
            "boxes": None if box is None else [parse_box(text) for text in box],
            "max_people": max_people,
        }
        options |= {} if min_score is None else {"min_score": min_score}
        with worker.place():
            photo = await request.body()
            return kept(await answered(request, "find", lambda: service.find(photo, options, facts)))

    @app.post("/v1/refit", status_code=201, response_model=PeopleFound, summary="Correct a result")
    async def refit(request: Request, told: RefitRequest) -> Response:
        """Fits bodies anew to what was seen in the photo, as corrected, and to what is known; the old result stays."""
        people = results.get(told.id).people
        with worker.place():
            return kept(await answered(request, "refit", lambda: service.refit(people, told)))

    @app.get("/v1/people/{id}", response_model=PeopleFound, summary="A result again")
    async def result(id: str) -> Response:
        return Response(results.get(id).document, media_type="application/json")

    @app.delete("/v1/people/{id}", status_code=204, summary="Forget a result now")
    async def forget(id: str) -> None:
        results.drop(id)

    def add_body(suffix: str, kind: str) -> None:
        @app.get(f"/v1/people/{{id}}/body.{suffix}", summary=f"Bodies as {suffix.upper()}", **_content(kind))
        async def body(
            request: Request, id: str, person: Annotated[int | None, Query(ge=0, description="only this one")] = None
        ) -> Response:
            people = results.get(id).people
            name = f"body.{suffix}" if person is None else f"body_{person}.{suffix}"
            return await file(request, kind, lambda: service.body_file(people, suffix, person), name)

    def add_picture(name: str, kind: str) -> None:
        @app.get(f"/v1/people/{{id}}/{name}", summary=_PICTURES[name], **_content(kind))
        async def picture(request: Request, id: str) -> Response:
            people = results.get(id).people
            return await file(request, kind, lambda: service.picture_file(people, name), name)

    for suffix, kind in BODIES.items():
        add_body(suffix, kind)
    for name, kind in PICTURES.items():
        add_picture(name, kind)

    @app.get("/v1/people/{id}/window.png", summary="One person's part map, 256 x 256 labels", **_content("image/png"))
    async def window(request: Request, id: str, person: Annotated[int, Query(ge=0)] = 0) -> Response:
        people = results.get(id).people
        return await file(request, "image/png", lambda: service.window_file(people, person))

    @app.get("/v1/people/{id}/vertices.bin", summary="Vertices for viewers", **_content("application/octet-stream"))
    async def vertices(request: Request, id: str) -> Response:
        """float32, little endian: x, y, z of each vertex of each person, metres in the camera's frame."""
        people = results.get(id).people
        return await file(request, "application/octet-stream", lambda: service.vertices_file(people))

    @app.get("/v1/body", response_model=BodyModel, summary="What all bodies have in common")
    async def body_model() -> JSONResponse:
        return JSONResponse(service.body_model())

    @app.get("/v1/body/faces.bin", summary="Faces for viewers", **_content("application/octet-stream"))
    async def faces() -> Response:
        """uint16, little endian: of each face three vertices, counter-clockwise from outside, and its part of 14."""
        return Response(service.faces_file(), media_type="application/octet-stream")

    @app.get("/healthz", response_model=Health, summary="Whether the server is there")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok", "version": __version__, "waiting": worker.waiting})

    @app.get("/metrics", summary="Counts and times for Prometheus", **_content("text/plain"))
    async def counts() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    _add_page(app)
    app.add_middleware(Guard, limits=limits, token=token, local=local)
    app.add_middleware(metrics.middleware)
    return app


_PICTURES = {
    "photo.jpg": "The photo, upright, at most 2048 pixels a side",
    "overlay.png": "Bodies over the photo",
    "summary.png": "Photo, part map, bodies over it and from the side",
    "parts.png": "The part map of the whole photo",
}


def _content(kind: str) -> dict[str, Any]:
    """How a route says that it answers with a file."""
    schema = {"type": "string"} if kind.startswith("text/") else {"type": "string", "format": "binary"}
    return {
        "response_class": Response,
        "responses": {200: {"content": {kind: {"schema": schema}}, "description": "OK"}},
    }


def _add_page(app: FastAPI) -> None:
    """The page's files, each compressed once."""
    for path in sorted(PAGE.rglob("*")) if PAGE.is_dir() else []:
        if path.is_file():
            name = path.relative_to(PAGE).as_posix()
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            add = _page_file(path.read_bytes(), kind)
            for route in (f"/{name}", "/") if name == "index.html" else (f"/{name}",):
                app.get(route, include_in_schema=False)(add)


def _page_file(content: bytes, kind: str) -> Callable[[Request], Any]:
    packed = gzip.compress(content, mtime=0)

    async def answer(request: Request) -> Response:
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(content, media_type=kind, headers=headers)
        return Response(packed, media_type=kind, headers=headers | {"Content-Encoding": "gzip"})

    return answer


async def _left(request: Request) -> None:
    """Returns once whoever asked has left."""
    with suppress(Problem):
        while (await request.receive())["type"] != "http.disconnect":
            pass
