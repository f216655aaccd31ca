"""One configuration in several files."""

from pathlib import Path

import pytest

from gateway.config import ConfigurationError
from gateway.config import load as load_file
from tests.config.conftest import Load, Problems

HOOK = "{kind: webhook, verify: {scheme: none}}"
TARGET = "{kind: http, url: 'http://localhost/'}"


def test_sections_of_all_files_are_merged(load: Load) -> None:
    loaded = load(
        f"include: [conf.d/*.yaml, more.yaml]\nserver: {{port: 1234}}\nsources: {{a: {HOOK}}}\n",
        files={
            "conf.d/2.yaml": f"sources: {{c: {HOOK}}}\nserver: {{host: localhost}}\n",
            "conf.d/1.yaml": f"sources: {{b: {HOOK}}}\ntriggers: {{t: {{on: [a, b, c, d], target: x}}}}\n",
            "conf.d/readme.txt": "not: [read",
            "more.yaml": f"sources: {{d: {HOOK}}}\ntargets: {{x: {TARGET}}}\n",
        },
    )

    assert loaded.config.sources.keys() == set("abcd")
    assert (loaded.config.server.host, loaded.config.server.port) == ("localhost", 1234)
    assert loaded.files == tuple(map(Path, ("config.yaml", "conf.d/1.yaml", "conf.d/2.yaml", "more.yaml")))


def test_a_single_glob_needs_no_list(load: Load) -> None:
    assert load("include: '*.yaml'", files={"a.yaml": f"targets: {{a: {TARGET}}}"}).config.targets.keys() == {"a"}


def test_a_file_that_two_globs_find_is_read_once(load: Load) -> None:
    loaded = load("include: ['*.yaml', a.yaml]", files={"a.yaml": f"targets: {{a: {TARGET}}}"})

    assert loaded.files == (Path("config.yaml"), Path("a.yaml"))


def test_a_glob_may_find_nothing(load: Load) -> None:
    assert load("include: conf.d/*.yaml").files == (Path("config.yaml"),)


def test_references_in_an_included_file_start_from_the_folder_of_the_first(load: Load) -> None:
    loaded = load(
        "include: conf.d/*.yaml",
        files={"conf.d/a.yaml": "database: {url: '${file:secret}'}", "secret": "sqlite:///x.db\n"},
    )

    assert loaded.config.database.url.get_secret_value() == "sqlite:///x.db"


def test_a_name_in_two_files_is_refused_with_both_places(problems: Problems) -> None:
    found = problems(
        f"include: [b.yaml, c.yaml]\nsources:\n  a: {HOOK}\nserver:\n  port: 1\n",
        files={
            "b.yaml": f"sources:\n  b: {HOOK}\n  a: {HOOK}\n",
            "c.yaml": f"server:\n  port: 1\nsources:\n  b: {HOOK}\n",
        },
    )

    assert found == [
        "b.yaml:3:3: sources.a: is defined in config.yaml:3 too",
        "c.yaml:2:3: server.port: is defined in config.yaml:5 too",
        "c.yaml:4:3: sources.b: is defined in b.yaml:2 too",
    ]


def test_problems_of_all_files_come_at_once_each_with_its_file(problems: Problems) -> None:
    found = problems("include: a.yaml\nservr: {}\n", files={"a.yaml": "server:\n  port: x\n"})

    assert found == [
        "a.yaml:2:9: server.port: should be a whole number",
        "config.yaml:2:1: servr: unknown key; did you mean 'server'?",
    ]


def test_a_file_that_cannot_be_read_hides_what_depends_on_it(problems: Problems) -> None:
    """The target may stand in the broken file: that it is missing would be a false alarm. A wrong value is none."""
    found = problems(
        "include: '?.yaml'\ntriggers: {t: {on: api, target: x}}\ndatabase: {url: '${UNSET}'}\n",
        files={"a.yaml": "targets: [", "b.yaml": "- list"},
    )

    assert found == [
        "a.yaml:2:1: not YAML: did not find expected node content",
        "b.yaml:1:1: expected sections, such as sources: and targets:",
        "config.yaml:3:17: database.url: the variable UNSET is not set",
    ]


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../*.yaml", "a/../../b.yaml", "/etc/*", ".."])
def test_s14_nothing_outside_of_the_folder_is_included(problems: Problems, pattern: str) -> None:
    assert problems(f"include: ['{pattern}']") == [
        "config.yaml:1:11: include: only files beside or below this one can be included"
    ]


@pytest.mark.parametrize("include", ["5", "{a: b}", "[[a]]", "[{a: b}]", "[null]", "['']"])
def test_s14_what_is_no_glob_is_refused(problems: Problems, include: str) -> None:
    assert "include: expected a glob, or a list of globs" in problems(f"include: {include}")[0]


def test_a_file_that_is_named_must_exist(problems: Problems) -> None:
    assert problems("include: [a.yaml]") == ["config.yaml:1:11: include: there is no file a.yaml"]


def test_included_files_include_nothing(problems: Problems) -> None:
    found = problems("include: a.yaml", files={"a.yaml": "include: b.yaml", "b.yaml": ""})

    assert found == ["a.yaml:1:1: include: an included file includes nothing itself"]


def test_a_glob_may_find_the_file_itself(load: Load) -> None:
    assert load("include: '*'\n").files == (Path("config.yaml"),)


def test_a_folder_is_no_file(problems: Problems) -> None:
    assert problems("include: [folder.yaml]", files={"folder.yaml/x": ""}) == [
        "config.yaml:1:11: include: there is no file folder.yaml"
    ]


@pytest.mark.parametrize(("name", "reason"), [("missing.yaml", "No such file or directory"), (".", "Is a directory")])
def test_a_configuration_that_cannot_be_read_is_one_clear_problem(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_file(tmp_path / name, {"GATEWAY__TARGETS__X__URL": "x"})

    assert str(caught.value) == f"{tmp_path / name}: cannot be read: {reason}"
