# The front door. The build itself is Meson's (meson.build); everything here is one short command.
.DEFAULT_GOAL := build
.PHONY: build install deb up scale logs members down test test-asan sim-search bed-search fuzz bench \
    release image format lint clean help

MESON := /usr/bin/meson
N ?= 5
T ?= 60
ARCH ?= native
c_files = $(shell git ls-files '*.c' '*.h')

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

build: ## the binary for development, build/serf (also plain `make`)
	@tools/install-packages build
	@test -f build/build.ninja || $(MESON) setup build
	@ninja -C build

install: build ## install below PREFIX (/usr/local), staged in DESTDIR
	@PREFIX="$(PREFIX)" SYSCONFDIR="$(SYSCONFDIR)" DESTDIR="$(DESTDIR)" tools/install-built

deb: ## the Debian packages, in dist/
	@tools/install-packages build package
	@tools/build-deb

up: ## a local cluster of five replicas behind one service address
	@tools/install-packages cluster
	@$(MAKE) --no-print-directory build
	@tools/cluster up

scale: ## grow or shrink the local cluster: make scale N=8
	@tools/cluster scale $(N)

logs: ## the replicas' logs (followed when on a terminal)
	@tools/cluster logs

members: ## the members, as a replica sees them
	@tools/cluster members

down: ## stop the local cluster
	@tools/cluster down

test: ## every test, also under sanitizers; ends with a count
	@tools/install-packages build package cluster test fuzz
	@/usr/bin/python3 tools/run-tests

test-asan: ## only the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/install-packages build cluster
	@/usr/bin/python3 tools/run-tests asan

sim-search: ## simulate random scenarios for T seconds, 600 by default: make sim-search T=3600
	@$(MAKE) --no-print-directory build
	@build/serf-sim --seed $$(date +%s) --search $(if $(filter command line,$(origin T)),$(T),600)s --jobs $$(nproc)

bed-search: ## start 5 and 20 pods at once on the test bed, N times a flavour: make bed-search N=50
	@tools/install-packages build cluster test
	@$(MAKE) --no-print-directory build
	@tests/kubernetes/bed/search.py --starts $(N)

fuzz: ## each fuzzer for T seconds: make fuzz T=3600
	@tools/install-packages build fuzz
	@tools/run-fuzzers $(T)

bench: ## measure against the reference, 20 minutes at most: make bench ROW=packets QUICK=1
	@tools/install-packages build cluster test
	@bench/run $(if $(QUICK),--quick) $(if $(OUTPUT),--output $(OUTPUT)) $(ROW)

release: ## the static, stripped binary, dist/serf; dist/serf-arm64 with ARCH=arm64
	@tools/install-packages build $(if $(filter-out native,$(ARCH)),cross)
	@tools/build-release $(ARCH)

image: ## the container images, by podman without a registry; as root; also ARCH=arm64
	@tools/install-packages container
	@tools/build-image $(ARCH)

format: ## lay out the C files with clang-format
	@tools/install-packages lint
	@clang-format -i $(c_files)

lint: ## formatting, shell scripts and the project's own rules
	@tools/install-packages lint test
	@/usr/bin/pytest-3 -q tests/system/test_source_rules.py

clean: ## stop the cluster and remove what was built
	@if [ -x /usr/bin/python3 ]; then tools/cluster down; fi
	@rm -rf build build-asan build-fuzz build-release build-release-arm64 build-deb dist
