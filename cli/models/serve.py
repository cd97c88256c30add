"""The command `serve`."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lbkd.errors import ConfigError
from lbkd.serving.limits import Limits

from ..console import err
from ..options import TrustRemoteCode, Workspace
from .loading import found

if TYPE_CHECKING:
    pass

_LIMITS = "Limits"


def serve(
    model: Annotated[
        str,
        typer.Argument(help="A run of the workspace, or the folder of a run, an exported or another model."),
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is all of them.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 is a free one.")] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(help="File with a key that requests must have: 'Authorization: Bearer KEY'."),
    ] = None,
    max_body: Annotated[
        int, typer.Option(min=1, help="Bytes of a request.", rich_help_panel=_LIMITS)
    ] = Limits.body,
    max_questions: Annotated[
        int, typer.Option(min=1, help="Questions of a request.", rich_help_panel=_LIMITS)
    ] = Limits.questions,
    max_passage: Annotated[
        int, typer.Option(min=1, help="Characters of a passage.", rich_help_panel=_LIMITS)
    ] = Limits.passage,
    max_reading: Annotated[
        int,
        typer.Option(
            min=1,
            help="Characters of a request's passages, each counted once for each of its questions.",
            rich_help_panel=_LIMITS,
        ),
    ] = Limits.reading,
    max_waiting: Annotated[
        int, typer.Option(min=1, help="Questions that wait, of all requests.", rich_help_panel=_LIMITS)
    ] = Limits.waiting,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds for a request.", rich_help_panel=_LIMITS)
    ] = Limits.seconds,
    log_texts: Annotated[
        bool, typer.Option("--log-texts", help="Log questions, passages and answers, too.")
    ] = False,
    workspace: Workspace = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Answer questions over HTTP, and on a page for people.

    Programs send POST /answer, people open the address. SIGTERM and Ctrl-C let it finish what came.

    Example: lbkd serve distill.combined.impurity --port 8000
    """
    if missing := [name for name in ("prometheus_client", "starlette", "uvicorn") if find_spec(name) is None]:
        raise ConfigError(f"lbkd serve needs packages ({', '.join(missing)}): pip install 'lbkd[serve]'")
    from lbkd.serving.server import Place, read_key
    from lbkd.serving.server import serve as serve_model

    limits = Limits(
        body=max_body,
        questions=max_questions,
        passage=max_passage,
        reading=max_reading,
        waiting=max_waiting,
        seconds=timeout,
    )
    key = read_key(api_key_file) if api_key_file else None
    _, load = found(model, workspace, trust_remote_code)
    if key is None and host not in ("127.0.0.1", "::1", "localhost"):
        err.print(f"everybody who reaches {host} can ask: --api-key-file asks for a key")
    number = serve_model(load, Path(model).name, Place(host, port), limits, err.print, key, log_texts)
    raise typer.Exit(128 + number if number else 0)


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(serve)
