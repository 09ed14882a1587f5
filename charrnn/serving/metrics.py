"""What the server has done, as Prometheus reads it."""

from collections import Counter
from collections.abc import Iterable

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the buckets of a histogram."""


class Histogram:
    """Times, counted by bucket."""

    def __init__(self) -> None:
        self._counts = [0] * (len(SECONDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count a time."""
        self._counts[sum(bound < seconds for bound in SECONDS)] += 1
        self._sum += seconds

    def lines(self, name: str) -> Iterable[str]:
        """Its samples."""
        total = 0
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class Metrics:
    """Counters and histograms of a server."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.read = self.drawn = self.left = 0
        self.first_token, self.duration = Histogram(), Histogram()

    def text(self, running: int, waiting: int) -> str:
        """All of it in the text form; running, waiting: texts at this moment.

        >>> "charrnn_running_texts 2" in Metrics().text(2, 0)
        True
        """
        lines: list[str] = []

        def add(name: str, kind: str, text: str, samples: Iterable[str]) -> None:
            lines.append(f"# HELP {name} {text}")
            lines.append(f"# TYPE {name} {kind}")
            lines.extend(samples)

        answers = [
            f'charrnn_requests_total{{path="{path}",status="{status}"}} {count}'
            for (path, status), count in sorted(self.requests.items())
        ]
        add("charrnn_requests_total", "counter", "Requests answered, by path and status.", answers)
        for name, kind, text, value in (
            ("charrnn_prompt_tokens_total", "counter", "Tokens of prompts read.", self.read),
            ("charrnn_drawn_tokens_total", "counter", "Tokens drawn.", self.drawn),
            ("charrnn_left_total", "counter", "Requests whose client left.", self.left),
            ("charrnn_running_texts", "gauge", "Texts that are being written.", running),
            ("charrnn_waiting_texts", "gauge", "Texts that wait for a place.", waiting),
        ):
            add(name, kind, text, [f"{name} {value}"])
        for name, text, times in (
            ("charrnn_first_token_seconds", "Time to the first text.", self.first_token),
            ("charrnn_request_seconds", "Time of a whole request.", self.duration),
        ):
            add(name, "histogram", text, times.lines(name))
        return "\n".join(lines) + "\n"
