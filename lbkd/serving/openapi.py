"""The OpenAPI document of a server."""

from typing import Any

from pydantic.json_schema import models_json_schema

import lbkd
from lbkd.serving.bodies import Answers, Asked, Problem
from lbkd.serving.limits import Limits

_REFUSED = {
    400: "The body is no JSON: broken, not UTF-8, half a surrogate pair.",
    401: "The API key is missing or wrong.",
    408: "The body was not received in time.",
    413: "The body is too large.",
    415: "The body's type is not application/json.",
    422: "A field that does not fit, or something beyond the limits.",
    503: "Too many questions wait, the model is not loaded yet, or memory ran out; see Retry-After.",
    504: "The answers took too long.",
}


def document(limits: Limits, key: bool) -> dict[str, Any]:
    """The document, for the limits of a server and for whether it needs a key."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in (Asked, Answers, Problem)],
        ref_template="#/components/schemas/{model}",
    )
    components: dict[str, Any] = {"schemas": schemas["$defs"]}
    security: list[Any] = []
    if key:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        security = [{"key": []}]
    refused = {status: text for status, text in _REFUSED.items() if key or status != 401}
    unready = _json("The model is not loaded yet.", "Problem")
    return {
        "openapi": "3.1.0",
        "info": {"title": "lbkd", "version": lbkd.__version__, "description": "Answers in passages."},
        "paths": {
            "/answer": {
                "post": {
                    "summary": "Answer questions about passages.",
                    "description": _told(limits),
                    "operationId": "answer",
                    "security": security,
                    "requestBody": {"required": True, "content": _content("Asked")},
                    "responses": {
                        "200": _json("The answers.", "Answers"),
                        **{str(status): _json(text, "Problem") for status, text in refused.items()},
                    },
                }
            },
            "/health": _get("health", "The process is alive; which model it has.", {}),
            "/ready": _get("ready", "The model is loaded.", {"503": unready}),
            "/metrics": _get("metrics", "Numbers for Prometheus.", {}, security, "text/plain"),
        },
        "components": components,
    }


def _told(limits: Limits) -> str:
    return (
        f"A request may have {limits.body} bytes and {limits.questions} questions of up to {limits.question} "
        f"characters, a passage {limits.passage} characters; all passages together, each counted once for "
        f"each of its questions, {limits.reading}. It is answered within {limits.seconds:g} s, or refused."
    )


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _json(text: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": _content(schema)}


def _get(
    name: str,
    summary: str,
    others: dict[str, Any],
    security: list[Any] | None = None,
    kind: str = "application/json",
) -> dict[str, Any]:
    good = {"description": summary, "content": {kind: {}}}
    found = {"summary": summary, "operationId": name, "responses": {"200": good, **others}}
    return {"get": found | ({"security": security} if security is not None else {})}
