"""Configurations that are written and loaded in a folder of their own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gateway import config
from gateway.config import ConfigurationError, Loaded

Load = Callable[..., Loaded]
Problems = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Writes `config.yaml` (and other files, by name) and loads it as seen from its folder."""
    monkeypatch.chdir(tmp_path)

    def load(
        text: str | bytes, environ: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
    ) -> Loaded:
        for name, content in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        Path("config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return config.load(Path("config.yaml"), environ or {})

    return load


@pytest.fixture
def problems(load: Load) -> Problems:
    """Loads what cannot be used, and gives the problems as they are shown."""

    def problems(
        text: str | bytes, environ: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
    ) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            load(text, environ, files)
        assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
        return [str(problem) for problem in caught.value.problems]

    return problems
