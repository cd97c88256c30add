"""What a server refuses: each limit and fault, with its status and its sentence."""

import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import pytest
from asking_servers import ASKED, Gated, Reply, Served, serving, wait_for

from lbkd.errors import ConfigError
from lbkd.inference import Answerer
from lbkd.serving.limits import Limits
from lbkd.serving.server import Place, read_key

SMALL = Limits(body=2000, questions=3, passage=300, question=40, reading=500, waiting=3, seconds=0.5)


@pytest.fixture(scope="module")
def small(answerer: Answerer) -> Iterator[Served]:
    """A server with low limits."""
    with serving(answerer, SMALL) as one:
        yield one


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"question": ["a"] * 4}, ["4 questions", "3"]),
        ({"context": "a" * 301}, ["question 0: the passage has 301 characters", "300"]),
        ({"question": "a" * 41}, ["question 0: the question has 41 characters", "40"]),
        ({"question": ["a"] * 3, "context": "a" * 200}, ["600 characters together", "500"]),
        ({"question": ["a", "b"], "context": ["c"]}, ["2 questions but 1 passages"]),
        ({"question": ["a", " "]}, ["question 1: the question is ' '"]),
        ({"context": ""}, ["question 0: the passage is ''"]),
        ({"context": None}, ["context", "None"]),
        ({"question": {"a": 1}}, ["question", "{'a': 1}"]),
        ({"top_k": 0}, ["top_k", "greater than or equal to 1", "found 0"]),
        ({"top_k": 101}, ["top_k", "less than or equal to 100", "found 101"]),
        ({"top_k": "3"}, ["top_k", "integer", "'3'"]),
        ({"top_k": 1.5}, ["top_k", "1.5"]),
        ({"top_k": True}, ["top_k", "True"]),
        ({"topk": 2}, ["topk", "did you mean 'top_k'?"]),
        ({"x" * 300: 2}, ["no such field"]),
        ({"max_seq_len": 99999}, ["max_seq_len = 99999", "at most 512 tokens"]),
        ({"doc_stride": 10**30}, ["doc_stride"]),
        ({"lang": "en"}, ["lang = 'en'", "takes no languages"]),
        ({"doc_stride": 300}, ["windows of 384 tokens, one every 17", "more than 16 times"]),
        ({"max_seq_len": 71}, ["windows of 71 tokens, one every 4"]),
        ({"lang": "e" * 41}, ["lang", "language code"]),
        ({"batch_size": 65}, ["batch_size", "64"]),
    ],
)
def test_what_does_not_fit(small: Served, change: dict[str, Any], parts: list[str]) -> None:
    reply = small.ask(ASKED | change)
    assert reply.status == 422
    assert all(part in reply.error for part in parts), reply.error
    assert len(reply.error) < 500


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"question": "a", "context": "\xff"}', 400),
        (b'{"question": "a", "context": "\\ud800"}', 400),
        (b'{"question": "a", "context": "b", "top_k": nan}', 400),
        (b"[" * 1500, 400),
        (json.dumps(ASKED).encode("utf-16"), 400),
        (b'{"question": "a", "context": "b", "top_k": NaN}', 422),
        (b'{"question": "a", "context": "b", "top_k": 1e999}', 422),
        (b'{"question": "a", "context": "b", "top_k": ' + b"9" * 1900 + b"}", 422),
        (b'{"question": "a", "context": "b", "doc_stride": -' + b"9" * 1900 + b"}", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"question"', 422),
    ],
)
def test_bad_json(small: Served, body: bytes, status: int) -> None:
    reply = small.ask(body)
    assert (reply.status, reply.error != "") == (status, True)
    assert len(reply.error) < 500


def test_a_large_body(small: Served) -> None:
    reply = small.ask(b"a" * 2001)
    assert (reply.status, reply.error) == (413, "the body has 2001 bytes; it may have 2000.")
    chunks = iter([b"a" * 1500] * 4)
    reply = small.request("POST", "/answer", chunks, {"Content-Type": "application/json"})  # type: ignore[arg-type]
    assert (reply.status, reply.error) == (413, "the body has more than 2000 bytes; it may have 2000.")


def test_other_paths_and_methods(small: Served) -> None:
    assert small.ask(ASKED, **{"Content-Type": "text/plain"}).status == 415
    found = small.get("/answer")
    assert (found.status, found.headers["allow"], found.error) == (405, "POST", "this path takes POST alone.")
    found = small.get("/nowhere?text=secret")
    assert (found.status, "/openapi.json" in found.error) == (404, True)
    assert not [line for line in small.notes if "secret" in line]


def test_a_body_that_comes_slowly(small: Served) -> None:
    with socket.create_connection(("127.0.0.1", small.port)) as slow:
        slow.sendall(b"POST /answer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
        slow.sendall(b"Content-Length: 100\r\n\r\n{")
        assert small.ask(ASKED).status == 200
        answer = b"".join(iter(lambda: slow.recv(10000), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body was not received within 0.5 s." in answer


def test_a_full_queue_and_a_late_answer(answerer: Answerer) -> None:
    gated = Gated(answerer)
    with serving(gated, SMALL) as server, ThreadPoolExecutor(4) as clients:
        late = [clients.submit(server.ask, ASKED)]
        wait_for(lambda: gated.batches)
        late.append(clients.submit(server.ask, ASKED | {"question": ["a", "b"]}))
        wait_for(lambda: server.number("lbkd_waiting_questions") == 2)
        full = server.ask(ASKED | {"question": ["c", "d"]})
        assert full.status == 503
        assert 1 <= int(full.headers["retry-after"]) <= 60
        assert "2 questions wait already; with these 2 they would be more than 3" in full.error
        for reply in late:
            assert (reply.result().status, reply.result().error) == (504, "not answered within 0.5 s.")
        assert server.number("lbkd_waiting_questions") == 0
        gated.gate.set()
        wait_for(lambda: server.ask(ASKED).status == 200)
        assert set(gated.batches) == {1}, "nobody waits for the two any more"


def test_clients_that_hang_up(answerer: Answerer) -> None:
    gated = Gated(answerer)
    with serving(gated) as server, ThreadPoolExecutor(1) as clients:
        first = clients.submit(server.ask, ASKED)
        wait_for(lambda: gated.batches)
        body = json.dumps(ASKED).encode()
        head = "POST /answer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}"
        for sent in (body, body[:9]):
            with socket.create_connection(("127.0.0.1", server.port)) as left:
                left.sendall(head.encode() + b"\r\n\r\n" + sent)
                if sent == body:
                    wait_for(lambda: server.number("lbkd_waiting_questions") == 1)
        wait_for(lambda: sum("/answer 499" in line for line in server.notes) == 2)
        assert server.number("lbkd_waiting_questions") == 0
        gated.gate.set()
        assert first.result().status == 200
        assert gated.batches == [1]
        assert not [line for line in server.notes if "Error" in line]


def test_a_key(answerer: Answerer) -> None:
    with serving(answerer, key=b"s3cret") as server:
        for path in ("/health", "/ready", "/openapi.json", "/"):
            assert server.get(path).status == 200
        for wrong in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "s3cret"}):
            assert server.get("/metrics", **wrong).status == 401
            reply = server.ask(ASKED, **wrong)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
            assert "Authorization: Bearer KEY" in reply.error
        assert server.ask(ASKED, Authorization="Bearer s3cret").status == 200
        assert server.get("/metrics", Authorization="Bearer s3cret").status == 200


def test_texts_are_logged_only_where_asked(answerer: Answerer) -> None:
    for texts in (False, True):
        with serving(answerer, texts=texts) as server:
            server.ask(ASKED | {"question": "Where is Zanzibar?"})
            server.ask({"question": "Where is Zanzibar?"})
            server.get("/Zanzibar")
        assert any("Zanzibar" in line for line in server.notes) == texts
        assert len(server.notes) == 3


def test_the_document_says_what_happens(small: Served) -> None:
    document = small.get("/openapi.json").json
    responses = document["paths"]["/answer"]["post"]["responses"]
    replies = [small.ask(ASKED), small.ask(ASKED | {"top_k": 0}), small.ask(b"{"), small.ask(b"a" * 3000)]
    for reply in replies:
        schema = responses[str(reply.status)]["content"]["application/json"]["schema"]
        jsonschema.validate(reply.json, {**schema, "components": document["components"]})
    body = document["paths"]["/answer"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    asked = {**body, "components": document["components"]}
    jsonschema.validate(ASKED | {"top_k": 3, "lang": None}, asked)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(ASKED | {"top_k": 0}, asked)


def test_nothing_hostile_is_an_error_of_ours(small: Served) -> None:
    draw = random.Random(1)
    sound = json.dumps(ASKED | {"top_k": 2, "doc_stride": 5, "lang": None}).encode()
    values = [
        None,
        True,
        -1,
        0,
        2**70,
        1.5,
        "",
        "\x00",
        "é" * 50,
        [],
        [[]],
        {},
        {"a": []},
        "\u202e",
        ["a", 1],
    ]
    names = ["question", "context", "top_k", "max_seq_len", "doc_stride", "padding", "lang", "x"]
    found: list[Reply] = []
    for _ in range(150):
        broken = bytearray(sound)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(broken))
            broken[at : at + draw.randint(0, 3)] = draw.randbytes(draw.randint(0, 3))
        found.append(small.ask(bytes(broken)))
        odd = ASKED | {name: draw.choice(values) for name in draw.sample(names, draw.randint(1, 3))}
        found.append(small.ask(odd))
    assert {reply.status for reply in found} <= {200, 400, 422}
    assert all(reply.error for reply in found if reply.status != 200)
    assert small.ask(ASKED).status == 200


def test_requests_that_are_no_http(small: Served) -> None:
    for raw in (b"\x16\x03\x01\x02", b"GET\r\n\r\n", b"POST /answer HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", small.port)) as connection:
            connection.sendall(raw + b"\r\n\r\n")
            assert connection.recv(100).startswith((b"HTTP/1.1 4", b""))
    assert small.get("/health").status == 200


def test_limits_that_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="waiting = 5 is less than questions = 6"):
        Limits(waiting=5, questions=6)
    with pytest.raises(ConfigError, match=r"seconds = 0: must be above 0"):
        Limits(seconds=0)


def test_places_and_keys_that_cannot_be(tmp_path: Any) -> None:
    with Place("127.0.0.1", 0).open() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1, port {port}: .*in use"):
            Place("127.0.0.1", port).open()
    file = tmp_path / "key"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(file)
    for content in (b"", b"two words", b"\xff", "é".encode()):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match="expected one API key"):
            read_key(file)
    file.write_bytes(b" good\n")
    assert read_key(file) == b"good"


def test_waiting_ends(answerer: Answerer) -> None:
    """Stopping a server lets the requests that it has received be answered."""
    gated = Gated(answerer)
    with ThreadPoolExecutor(2) as clients:
        with serving(gated) as server:
            reply = clients.submit(server.ask, ASKED)
            wait_for(lambda: gated.batches)
            began = time.monotonic()
        assert reply.result().status == 200
        assert time.monotonic() - began < 20
