"""The server as its clients see it: the openai client, and plain HTTP."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn import api
from tests.support.served import chat_run, labelled_run, other_run, text_run

pytest.importorskip("uvicorn", reason="serve is not installed: pip install 'charrnn[serve]'")
pytest.importorskip("starlette", reason="serve is not installed: pip install 'charrnn[serve]'")
from tests.support.serving import Address, served

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
HEAD = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LONG = {"model": "fables", "max_tokens": 16_000, "stream": True, "allow": "The mil"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served") / "runs"
    text_run(root)
    chat_run(root)
    other_run(root)
    labelled_run(root)
    return root


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[Address]:
    with served(folder, rows=8, queue=4, prompt=2000, body=100_000, header_seconds=1) as found:
        yield found


@pytest.fixture(scope="module")
def client(address: Address) -> Any:
    openai = pytest.importorskip("openai", reason="the openai client is not installed")
    return openai.OpenAI(base_url=f"{address.url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return api.load("fables", runs_dir=folder, threads=1)


def metric(address: Address, name: str) -> float:
    """The value of a metric without labels."""
    text = address.ask("GET", "/metrics")[2].decode()
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


def settled(address: Address) -> None:
    """Wait until no row is in use."""
    deadline = time.monotonic() + 20
    while metric(address, "charrnn_running_texts") + metric(address, "charrnn_waiting_texts"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_openai_client_lists_models(client: Any) -> None:
    assert sorted(each.id for each in client.models.list()) == ["fables", "langs", "shop"]
    assert client.models.retrieve("fables").owned_by == "charrnn"


def test_a_completion_is_the_text_of_sample(client: Any, model: Any) -> None:
    expected = model.sample("The mill", length=20, seed=3, temperature=0.8, top_p=0.9)
    asked = {"model": "fables", "prompt": "The mill", "max_tokens": 20, "seed": 3,
             "temperature": 0.8, "top_p": 0.9}  # fmt: skip
    done = client.completions.create(**asked)
    assert done.choices[0].text == expected
    assert done.choices[0].finish_reason == "length"
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (8, 20)
    parts = list(client.completions.create(**asked, stream=True))
    assert "".join(part.choices[0].text for part in parts) == expected
    assert parts[-1].choices[0].finish_reason == "length"


def test_prompts_in_a_list_have_n_texts_each_and_those_of_a_prompt_alone(client: Any) -> None:
    def texts(prompt: Any) -> list[str]:
        done = client.completions.create(model="fables", prompt=prompt, n=2, seed=1, max_tokens=9)
        assert [choice.index for choice in done.choices] == list(range(len(done.choices)))
        return [choice.text for choice in done.choices]

    both = texts(["The mill", "The cat" * 20])
    assert both == [*texts("The mill"), *texts("The cat" * 20)]
    assert both[0] != both[1]


def test_stop_echo_bias_and_constraints(client: Any, model: Any) -> None:
    whole = model.sample("The", length=30, seed=2)
    done = client.completions.create(
        model="fables", prompt="The", max_tokens=30, seed=2, stop=[whole[7:9]], echo=True
    )
    assert done.choices[0].text == "The" + whole[: whole.index(whole[7:9])]
    assert done.choices[0].finish_reason == "stop"
    biased = client.completions.create(
        model="fables", prompt="", logit_bias={"t": 100}, max_tokens=9
    )
    assert biased.choices[0].text == "t" * 9
    only = client.completions.create(
        model="fables", prompt="", max_tokens=9, extra_body={"allow": "at", "min_p": 0.1}
    )
    assert set(only.choices[0].text) <= set("at")


def test_patterns_and_known_words_are_those_of_sample(client: Any, model: Any) -> None:
    for given in (
        {"regex": "[a-t ]{4,9}"}, {"known_words": True}, {"known_words": True, "ban": "cat"},
        {"novel": True, "no_copy": 3},
    ):  # fmt: skip
        made = client.completions.create(
            model="fables", prompt="The ", max_tokens=30, seed=5, extra_body=given
        )
        assert made.choices[0].text == model.sample("The ", length=30, seed=5, **given)


def test_a_pattern_that_cannot_go_on_is_an_error_of_its_request(client: Any) -> None:
    import openai

    with pytest.raises(openai.BadRequestError, match="and matches regex; widen the pattern"):
        client.completions.create(model="fables", prompt="", extra_body={"regex": "é~"})


@pytest.mark.parametrize("prompt", ["", "the ", "the " * 30])
def test_a_text_in_a_label_is_that_of_sample(
    prompt: str, client: Any, folder: Path, address: Address
) -> None:
    alone = api.load("langs", runs_dir=folder, threads=1)
    given = {"prompt": prompt, "max_tokens": 30, "seed": 5, "temperature": 0.7}
    for label in ("en", "fr"):
        expected = alone.with_label(label).sample(prompt, length=30, temperature=0.7, seed=5)
        for fields in ({"model": f"langs:{label}"}, {"model": "langs", "label": label}):
            assert address.post(COMPLETIONS, given | fields)[1]["choices"][0]["text"] == expected
    plain = address.post(COMPLETIONS, given | {"model": "langs"})[1]["choices"][0]["text"]
    assert plain == alone.sample(prompt, length=30, temperature=0.7, seed=5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "langs", "label": "it"}, "langs has no label 'it'; the nearest are"),
        ({"model": "langs:it"}, "langs has no label 'it'"),
        ({"model": "langs:en", "label": "fr"}, "says the label 'en'"),
        ({"model": "fables", "label": "en"}, "fables has no labels; "),
        ({"model": "langs:en", "prompt": "a\nb"}, "cannot begin another document"),
        ({"model": "langs", "label": 3}, "label has to be a text"),
        ({"model": "fables", "bars": True}, "fables is no model of tunes; leave bars out"),
        ({"model": "fables", "key": "G"}, "fables is no model of tunes; leave key out"),
        ({"model": "fables", "regex": "a{2000}"}, "regex has at most 1000"),
        ({"model": "fables", "regex": "a("}, "regex cannot be read"),
    ],
)
def test_what_a_model_cannot_write_is_refused(
    fields: dict[str, Any], message: str, address: Address
) -> None:
    status, answer = address.post(COMPLETIONS, {"prompt": "x", **fields})
    assert (status, message in answer["error"]["message"]) == (400, True), answer


def test_pages_of_a_site_that_is_named_may_ask(folder: Path) -> None:
    site = "https://app.example"
    with served(folder, "fables", token="secret", origins=(site,)) as address:
        asking = {"origin": site, "access-control-request-method": "POST"}
        # A browser asks first, and without the token.
        status, headers, body = address.ask("OPTIONS", COMPLETIONS, None, asking)
        assert (status, body) == (204, b"")
        assert headers["access-control-allow-origin"] == site
        assert "authorization" in headers["access-control-allow-headers"]
        given = {"origin": site, "authorization": "Bearer secret"}
        status, headers, _ = address.ask("GET", "/v1/models", None, given)
        assert (status, headers["access-control-allow-origin"]) == (200, site)
        assert headers["vary"] == "origin"
        # An error can be read, too.
        status, headers, _ = address.ask("GET", "/v1/models", None, {"origin": site})
        assert (status, headers["access-control-allow-origin"]) == (401, site)
        for origin in ("https://app.example.evil", "http://app.example", "null"):
            for method in ("OPTIONS", "GET"):
                status, headers, _ = address.ask(method, "/v1/models", None, {"origin": origin})
                assert status == 403
                assert "access-control-allow-origin" not in headers
        rebound = {"origin": site, "host": "evil.example"}
        assert address.ask("OPTIONS", COMPLETIONS, None, rebound)[0] != 204


def test_log_probabilities_of_prompt_and_text(client: Any, model: Any) -> None:
    done = client.completions.create(
        model="fables", prompt="The cat", max_tokens=3, logprobs=2, echo=True, seed=1
    )
    known = done.choices[0].logprobs
    assert "".join(known.tokens) == done.choices[0].text
    assert known.text_offset == list(range(10))
    assert [len(each) for each in known.top_logprobs] == [2] * 10
    expected = model.log_probabilities("The cat")[1]
    assert known.token_logprobs[:7] == pytest.approx(expected.tolist(), abs=1e-4)
    # A prompt alone is scored: what evaluation harnesses ask.
    scored = client.completions.create(
        model="fables", prompt=[[5, 6], [7]], max_tokens=0, logprobs=0, echo=True
    )
    assert [len(each.logprobs.tokens) for each in scored.choices] == [2, 1]


def test_a_chat_answers_as_the_program_does(client: Any, folder: Path) -> None:
    chat = api.load("shop", runs_dir=folder).chat(seed=5, max_length=40)
    first = chat.reply("how are you 3?")
    messages: Any = [{"role": "user", "content": "how are you 3?"}]
    asked = {"model": "shop", "messages": messages, "max_tokens": 40, "seed": 5}
    done = client.chat.completions.create(**asked)
    assert done.choices[0].message.content == first.replace("\u2028", "\n")
    assert done.choices[0].message.role == "assistant"
    parts = client.chat.completions.create(
        **asked, stream=True, logprobs=True, top_logprobs=1, stream_options={"include_usage": True}
    )
    *deltas, last = list(parts)
    said = "".join(part.choices[0].delta.content for part in deltas)
    assert said == done.choices[0].message.content
    assert last.usage.completion_tokens == sum(
        len(part.choices[0].logprobs.content) for part in deltas
    )
    assert deltas[0].choices[0].delta.role == "assistant"
    messages += [{"role": "assistant", "content": first}, {"role": "user", "content": "good"}]
    again = client.chat.completions.create(**asked)
    assert again.choices[0].message.content == chat.reply("good")


def test_errors_have_the_form_that_the_openai_client_knows(client: Any) -> None:
    openai = pytest.importorskip("openai")
    with pytest.raises(openai.NotFoundError) as missing:
        client.completions.create(model="../fables", prompt="x")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="no model of a chat"):
        client.chat.completions.create(
            model="fables", messages=[{"role": "user", "content": "hello"}]
        )
    with pytest.raises(openai.BadRequestError, match="no system messages"):
        client.chat.completions.create(
            model="shop", messages=[{"role": "system", "content": "be brief"}]
        )
    with pytest.raises(openai.BadRequestError) as long:
        client.completions.create(model="fables", prompt="x" * 3000)
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="version 1 of mirostat"):
        client.completions.create(model="fables", prompt="", extra_body={"mirostat": 1})
    # The file of a stranger's choice is none to read.
    with pytest.raises(openai.BadRequestError, match="known_words has to be true or false"):
        client.completions.create(
            model="fables", prompt="", extra_body={"known_words": "/etc/passwd"}
        )


def test_requests_that_come_together_are_one_batch_and_the_same_texts(
    address: Address, model: Any
) -> None:
    found: dict[int, Any] = {}

    def ask(seed: int) -> None:
        body = {"model": "fables", "prompt": "The cat", "max_tokens": 60, "seed": seed}
        found[seed] = address.post(COMPLETIONS, body)[1]["choices"][0]["text"]

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {s: model.sample("The cat", length=60, seed=s) for s in range(8)}


def test_a_client_that_leaves_frees_its_row(address: Address) -> None:
    for stream in (True, False):
        left = metric(address, "charrnn_left_total")
        body = json.dumps(LONG | {"stream": stream}).encode()
        head = (
            f"POST {COMPLETIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        )
        made = address.connect(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        deadline = time.monotonic() + 20
        while not metric(address, "charrnn_running_texts"):
            assert time.monotonic() < deadline
        made.close()
        settled(address)
        assert metric(address, "charrnn_left_total") == left + 1


def test_what_cannot_wait_is_told_to_come_again(address: Address) -> None:
    body = json.dumps(LONG | {"n": 8}).encode()
    raw = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body
    made = [address.connect(raw), address.connect(raw)]
    deadline = time.monotonic() + 20
    while metric(address, "charrnn_waiting_texts") < 8:
        assert time.monotonic() < deadline
    status, headers, answer = address.ask("POST", COMPLETIONS, {"model": "fables"})
    assert status == 429
    assert headers["retry-after"] == "1"
    assert json.loads(answer)["error"]["code"] == "queue_full"
    for each in made:
        each.close()
    settled(address)


def test_time_that_is_up_ends_a_request(folder: Path) -> None:
    with served(folder, "fables", seconds=0.3) as address:
        body = {k: v for k, v in LONG.items() if k != "stream"}
        status, answer = address.post(COMPLETIONS, body)
        assert (status, answer["error"]["code"]) == (504, "timeout")
        _, _, events = address.ask("POST", COMPLETIONS, LONG)
        assert json.loads(events.split(b"data: ")[-1])["error"]["code"] == "timeout"
        settled(address)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421), ({"host": "10.0.0.1"}, 421), ({"host": "["}, 421),
        ({"host": ""}, 421), ({"host": "own.example:99"}, 200), ({"host": "[::1]:80"}, 200),
        ({"origin": "http://evil.example"}, 403), ({"origin": "null"}, 403),
        ({"host": "localhost", "origin": "http://localhost"}, 200),
    ],
)  # fmt: skip
def test_hosts_and_origins_are_checked(
    address: Address, headers: dict[str, str], status: int
) -> None:
    assert address.ask("GET", "/v1/models", None, headers)[0] == status
    assert address.ask("GET", "/nowhere", None, headers)[0] == (404 if status == 200 else status)


def test_a_token_is_asked_for_where_there_is_one(folder: Path) -> None:
    with served(folder, "fables", token="secret", loopback=False) as address:
        for path, status in (("/", 200), ("/healthz", 200), ("/metrics", 401), ("/v1/models", 401)):
            assert address.ask("GET", path)[0] == status
        for given, status in (("Bearer secret", 200), ("Bearer secre", 401), ("secret", 401)):
            found = address.ask("GET", "/v1/models", None, {"authorization": given})[0]
            assert found == status
        # Whoever cannot be rebound to: an address is no name.
        assert address.ask("GET", "/healthz", None, {"host": "10.0.0.1"})[0] == 200
        assert address.ask("GET", "/healthz", None, {"host": "evil.example"})[0] == 421


def test_bodies_are_bounded_and_of_json(address: Address) -> None:
    assert address.ask("POST", COMPLETIONS, b"x" * 200_000)[0] == 413
    plain = {"content-type": "text/plain"}
    assert address.ask("POST", COMPLETIONS, b"{}", plain)[0] == 415
    assert address.ask("GET", COMPLETIONS)[0] == 405
    assert address.ask("DELETE", "/v1/models")[0] == 405


def test_slow_and_broken_connections_are_cut(address: Address) -> None:
    with (
        address.connect(b"GET / HT") as head,
        address.connect(f"{HEAD}Content-Length: 99\r\n\r\n{{".encode()) as body,
    ):
        assert body.recv(99).startswith(b"HTTP/1.1 408")
        with contextlib.suppress(ConnectionResetError):
            assert head.recv(99) == b""
    with address.connect(b"\x16\x03\x01\0\0\r\n\r\n") as broken:
        assert broken.recv(99).startswith(b"HTTP/1.1 400")


def test_answers_have_headers_that_browsers_obey(address: Address) -> None:
    _, headers, _ = address.ask("GET", "/v1/models")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    _, headers, _ = address.ask("GET", "/")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


def test_metrics_are_in_the_form_of_prometheus(address: Address) -> None:
    _, headers, raw = address.ask("GET", "/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in raw.decode().splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or float(line.rpartition(" ")[2]) >= 0
    assert address.ask("GET", "/healthz")[2] == b"ok\n"


def test_what_is_being_written_is_finished_when_the_server_stops(folder: Path) -> None:
    with served(folder, "fables") as address:
        answers: list[bytes] = []
        thread = threading.Thread(
            target=lambda: answers.append(
                address.ask("POST", COMPLETIONS, LONG | {"max_tokens": 2000})[2]
            )
        )
        thread.start()
        deadline = time.monotonic() + 20
        while not metric(address, "charrnn_running_texts"):
            assert time.monotonic() < deadline
        address.server.should_exit = True
        thread.join(30)
    assert answers[0].endswith(b"data: [DONE]\n\n")


def test_an_error_of_the_program_is_an_answer_and_a_note(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    from charrnn.inference.running_batch import RunningBatch

    def fails(self: RunningBatch) -> int:
        raise MemoryError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(RunningBatch, "step", fails)
        status, answer = address.post(COMPLETIONS, {"model": "fables"})
    assert (status, answer["error"]["message"]) == (500, "out of memory")
    assert address.notes == ["MemoryError: no more"]
    assert address.post(COMPLETIONS, {"model": "fables"})[0] == 200
