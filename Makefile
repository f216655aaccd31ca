# Needs Python >= 3.11 and nothing else; what it installs goes into .venv.

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test soak bench lint

run: .venv/gateway-installed
	$(BIN)/gateway serve -c config.example.yaml

# Most of the tests' time is waiting: for servers to come back, leases to end, clocks to strike. What fails beside
# others is tried once more alone: on a busy machine time-outs run out that are generous on any other.
test: lint
	$(BIN)/pytest -n 3 --dist worksteal || $(BIN)/pytest --last-failed --last-failed-no-failures none

soak: .venv/tests-installed
	$(BIN)/pytest -m soak --timeout 0

bench: .venv/tests-installed
	$(BIN)/python -m tests.bench

lint: .venv/tests-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/gateway-installed: pyproject.toml constraints.txt
	python3 -m venv .venv
	$(PIP) -c constraints.txt -e '.[otel,postgres,uvloop]'
	touch $@

# Dependency groups came with pip 25.1; the pip that venv brings along may be older.
.venv/tests-installed: .venv/gateway-installed
	$(PIP) 'pip>=25.1'
	$(PIP) -c constraints.txt --group dev
	touch $@
