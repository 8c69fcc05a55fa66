"""What goes wrong between a server and its clients, in one JSON shape: {"error": {"code": ..., "message": ...}}."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from nbf.errors import InputError

_CODES = {400: "malformed", 404: "not_found", 405: "wrong_method"}
"""Of what the framework itself refuses."""


class Problem(HTTPException):
    """A request that cannot be answered."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        """`message` says what was expected, what came and what to do."""
        super().__init__(status, message, None if headers is None else dict(headers))
        self.code = code


def busy(why: str) -> Problem:
    """The server has no room now."""
    return Problem(503, "busy", f"{why}; try again in a few seconds", {"Retry-After": "2"})


def gone() -> Problem:
    """Whoever asked has left; nobody gets this. 499 is what nginx logs for it."""
    return Problem(499, "gone", "the client has left")


class ErrorDetail(BaseModel):
    """What was wrong."""

    code: str
    """For programs: one word for each kind of mistake."""
    message: str
    """For people: what was expected, what came, what to do."""


class ErrorBody(BaseModel):
    """The shape of every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"error": {"code": "unusable", "message": "photo: the file is empty; expected a JPEG, PNG, ... file"}}
            ]
        }
    )

    error: ErrorDetail


def error_response(problem: Problem) -> JSONResponse:
    """A problem as an answer."""
    content = {"error": {"code": problem.code, "message": problem.detail}}
    return JSONResponse(content, problem.status_code, problem.headers)


def answer_problems(app: FastAPI) -> None:
    """Let an application answer what goes wrong in that shape."""

    @app.exception_handler(HTTPException)
    async def of_http(_request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Problem):
            return error_response(error)
        code = _CODES.get(error.status_code, "refused")
        return error_response(Problem(error.status_code, code, str(error.detail), error.headers))

    @app.exception_handler(InputError)
    async def of_input(_request: Request, error: InputError) -> JSONResponse:
        return error_response(Problem(422, "unusable", str(error)))

    @app.exception_handler(RequestValidationError)
    async def of_schema(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        return error_response(Problem(422, "malformed", f"{where}: {first['msg']}; see /openapi.json"))

    @app.exception_handler(ClientDisconnect)
    async def of_leaving(_request: Request, _error: ClientDisconnect) -> JSONResponse:
        return error_response(gone())
