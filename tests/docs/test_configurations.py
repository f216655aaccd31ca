"""The configurations on the pages are sound, each as it stands."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config import load
from tests.docs.pages import DOCS, blocks
from tests.gateways import ROOT
from tests.servers.certificate import new_certificate

PAGES = [ROOT / "README.md", *(DOCS / f"{name}.md" for name in ("getting-started", "concepts", "configuration"))]
PAGES += [DOCS / f"{name}.md" for name in ("operations", "schedules", "security")]
_NAMED = re.compile(r"# (\S+\.yaml)\n")
_WITHOUT_DEFAULT = re.compile(r"\$\{(\w+)\}")


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What the pages take from the environment: certificates must be such, anything else may be any text."""
    certificate, key = new_certificate(tmp_path_factory.mktemp("tls"))
    return {"TLS_CERT": str(certificate), "TLS_KEY": str(key), "SYNC_CA": str(certificate)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_configurations_are_sound(page: Path, surroundings: Mapping[str, str], tmp_path: Path) -> None:
    texts = blocks(page, "yaml")
    variables = dict.fromkeys(_WITHOUT_DEFAULT.findall("".join(texts)), "http://sync.example")
    (tmp_path / "netbox-secret").write_text("s3cr3t")
    for text in texts:
        named = _NAMED.match(text)
        file = tmp_path / (named[1] if named else "config.yaml")
        file.write_text(text)

        load(file, {**variables, **surroundings})

    assert texts
