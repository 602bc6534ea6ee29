# engraft: short names for what people do. The build itself is CMakeLists.txt; `make help` lists the rest.
.DEFAULT_GOAL := all
JOBS := $(shell nproc)
CMAKE := cmake -G Ninja
PREFIX ?= /usr/local
# every C file that clang-format looks after
C_FILES = $(shell find cli include src tests bench -name '*.[ch]' -not -path '*/corpus/*')

.PHONY: help all demo test check asan clang rooms format format-check bench bench-peers bench-growth man install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

all: ## build build/release/engraft
	@scripts/setup build
	@mkdir -p build/release
	@$(CMAKE) -S . -B build/release -DCMAKE_BUILD_TYPE=Release -DENGRAFT_TESTS=OFF \
	    >build/release/configure.log 2>&1 || { cat build/release/configure.log; exit 1; }
	@cmake --build build/release -j $(JOBS) --target engraft

demo: ## the whole study on the sample X-rays, into demo/report.html (first run: installs, builds, gets weights)
	@scripts/setup demo
	@$(MAKE) --no-print-directory all
	@scripts/demo demo

test: ## everything: release, sanitizers, clang, each instruction set, rooms, format (ends with ctest's summary)
	@scripts/setup test
	@scripts/test_all

check: ## the quick part of the tests, under 2 minutes
	@scripts/setup test
	@scripts/test_all quick

asan: ## build/asan: address and undefined-behaviour sanitizers
	@scripts/setup test
	$(CMAKE) -S . -B build/asan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g1" \
	    -DENGRAFT_WERROR=ON -DENGRAFT_SANITIZE=address,undefined -DENGRAFT_TEST_PREFIX=asan/ >/dev/null
	cmake --build build/asan -j $(JOBS)

clang: ## build/clang: clang, warnings are errors
	@scripts/setup test
	$(CMAKE) -S . -B build/clang -DCMAKE_C_COMPILER=clang -DENGRAFT_WERROR=ON >/dev/null
	cmake --build build/clang -j $(JOBS)

rooms: ## the rules of doc/structure.md that a script can check
	@scripts/check_rooms .

format: ## clang-format the tree
	@clang-format-14 -i $(C_FILES)

format-check: ## fails when a file is not formatted
	@clang-format-14 --dry-run -Werror $(C_FILES)

bench: all ## speed against PyTorch in the same run (needs a Python with torch)
	@if [ -x bench/run ]; then exec bench/run; else echo "bench/run is not in this tree" >&2; exit 1; fi

bench-peers: all ## the table of bench/results: PyTorch and ONNX Runtime in turns with us (PYTHON=, ROWS=, DATA=)
	@bench/run peers $(if $(ROWS),--rows $(ROWS)) $(if $(DATA),--data $(DATA))

bench-growth: all ## how time and memory grow with batch, side, threads, images: docs/growth.svg (ROWS=batch,images)
	@python3 bench/growth.py $(if $(ROWS),--only $(ROWS))

man: all ## build/engraft.1, from the option table
	@build/release/engraft help --man >build/engraft.1 && echo build/engraft.1

install: man ## program, library header and manual page into $(PREFIX)
	install -D build/release/engraft $(DESTDIR)$(PREFIX)/bin/engraft
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/include include/engraft.h include/engraft_options.h
	install -D -m 644 build/engraft.1 $(DESTDIR)$(PREFIX)/share/man/man1/engraft.1

clean: ## remove build/
	rm -rf build
