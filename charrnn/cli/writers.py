"""Samples on their way to stdout: as text one after the other, or as JSON one object each."""

from charrnn.cli.output import Output
from charrnn.texts import Piece, Settings, Token
from charrnn.tokenizer import Tokenizer


class TextWriter:
    """Samples one after the other, each ended by a newline; a blank line between long ones.

    Of samples drawn side by side the first is shown as it grows, the others when it is their turn.
    """

    def __init__(self, prompts: list[str], settings: Settings) -> None:
        self.out = Output()
        self._prompts = prompts
        self._between = "" if settings.lines else "\n"
        self._turn = 0
        self._waiting: dict[int, list[Piece]] = {}
        self._open = False
        self._last = ""

    def take(self, piece: Piece) -> None:
        """Print a piece, or keep it until the samples before it are complete."""
        self._waiting.setdefault(piece.index, []).append(piece)
        while pieces := self._waiting.pop(self._turn, None):
            for each in pieces:
                self._print(each)

    def _print(self, piece: Piece) -> None:
        if not self._open:
            prompt = self._prompts[piece.index % len(self._prompts)] if self._prompts else ""
            self._write(self._between if piece.index else "")
            # An empty sample has its line, too.
            self._open, self._last = True, ""
            self._write(prompt)
        self._write(piece.text)
        if piece.finish:
            self._write("" if self._last == "\n" else "\n")
            self._turn, self._open = self._turn + 1, False

    def _write(self, text: str) -> None:
        if text:
            self._last = text[-1]
            self.out.write(text)


class JsonWriter:
    """One object for each sample, in order of their numbers."""

    def __init__(self, prompts: list[str], settings: Settings, tokenizer: Tokenizer) -> None:
        self.out = Output()
        self._prompts, self._settings, self._tokenizer = prompts, settings, tokenizer
        self._pieces: dict[int, list[Piece]] = {}
        self._turn = 0

    def take(self, piece: Piece) -> None:
        """Add a piece; print the samples that are complete up to here."""
        self._pieces.setdefault(piece.index, []).append(piece)
        while self._pieces.get(self._turn, [piece])[-1].finish and self._turn in self._pieces:
            self._print(self._pieces.pop(self._turn))
            self._turn += 1

    def _print(self, pieces: list[Piece]) -> None:
        settings, last = self._settings, pieces[-1]
        sample: dict[str, object] = {
            "text": "".join(piece.text for piece in pieces),
            "finish": last.finish,
            "prompt": self._prompts[last.index % len(self._prompts)],
            "tokens": last.tokens,
            "seed": settings.seed,
            "index": last.index,
            "settings": settings.values | {"length": settings.length},
        }
        if settings.logprobs >= 0:
            sample["logprobs"] = [self._told(token) for piece in pieces for token in piece.told]
        self.out.json(sample)

    def _told(self, token: Token) -> dict[str, object]:
        """One token with its alternatives, by their texts."""
        decode = self._tokenizer.decode
        top = [{"token": decode([i]), "id": i, "logprob": logprob} for i, logprob in token.top]
        return {"token": decode([token.id]), "id": token.id, "logprob": token.logprob, "top": top}
