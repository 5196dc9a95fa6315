# make demo    a photograph becomes output/demo.mp4
# make test    everything: unit tests, the real ComfyUI host, a real browser
# make check   lint, types and the fast tests
# make studio  the real ComfyUI with this pack
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMP := $(VENV)/.installed

.PHONY: demo test check lint types unit slow host studio clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(STAMP)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: $(STAMP)
	$(BIN)/pantheon360 generate pantheon_core/assets/panoramas/hotel_room.jpg --path forward_turn --height 256 --frames 14 \
		--out output/demo.mp4 --scaffold-out output/demo_scaffold.mp4 --contact-sheet output/demo.png --overwrite

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The nodes are checked against the real ComfyUI, which the test host brings.
types: $(VENV)/.installed-dev
	$(PY) tools/test_host.py
	$(BIN)/pyright

unit: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n auto -m "not slow and not host and not browser"

check: lint types unit

slow: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n auto -m "slow and not host and not browser"

host: $(VENV)/.installed-dev
	$(PY) tools/test_host.py
	$(PY) -m pytest -q -m "host or browser"

test: check slow host

studio: $(VENV)/.installed-dev
	$(PY) tools/test_host.py --serve

clean:
	rm -rf output artifacts .cache build *.egg-info
