# The verbs. Each installs what it lacks (.ci/install says what and how), then works.
#
#   ARGS='--config.dir examples --config.names timers'   flags for what the verb starts
#   RUNNER='sudo -E'                                     make test and soak: what starts the test programs

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run build examples plugins rust-plugins deb release test test-kernels test-arm64 soak fuzz bench bench-micro bench-instructions bench-overhead bench-attacks docs mixin lint image

# Tools of .ci/install, and a Rust toolchain that this shell has not heard of yet.
export PATH := $(PATH):$(CURDIR)/.ci/tools/bin:$(HOME)/.cargo/bin
# This make's flags and variables are not meant for the makes that cargo starts.
unexport MAKEFLAGS

TARGET := $(or $(CARGO_TARGET_DIR),target)
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
LOCKED := $(if $(CI),--locked)
comma := ,
# Where plugins are, unless ARGS has another directory or tries one.
PLUGINS := $(if $(filter plugin --plugins.dir%,$(ARGS)),,--plugins.dir $(TARGET)/plugins)

# $(call headers,CARGO COMMAND) prints where that build has unpacked libbpf's headers, so that the
# examples are compiled with those of the very libbpf that loads them.
headers = cargo $(1) --quiet $(LOCKED) --message-format=json-render-diagnostics \
	| sed -n 's|.*"package_id":"[^"]*libbpf-sys@.*"out_dir":"\([^"]*\)".*|\1/include|p'

# Has cargo start test programs by RUNNER.
STARTED := $(if $(RUNNER),--config 'target."cfg(all())".runner = "$(RUNNER)"')

# $(call try,VERB,CONSEQUENCE) goes on without it, except in CI.
try = $(MAKE) --no-print-directory $(1) || { echo "make $@: make $(1) failed, see above: $(2)"; [ -z "$(CI)" ]; }

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

run: examples ## build everything and serve this kernel's metrics on http://localhost:9435/metrics
	@.ci/install run
	@$(call try,rust-plugins,what needs one is left out)
	$(SUDO) $(TARGET)/release/ebpf_wasm_exporter $(PLUGINS) $(ARGS)

build: ## build the release binary
	@.ci/install build
	cargo build --release $(LOCKED)

examples: build ## compile examples/*.bpf.c to examples/*.bpf.o; SRC=DIR for sources of your own
	@headers=$$($(call headers,build --release)); \
	  $(MAKE) --no-print-directory -C examples LIBBPF_HEADERS=$$headers $(if $(SRC),SRC='$(abspath $(SRC))')

plugins: rust-plugins ## build all plugins of decoders-wasm as components, target/plugins/*.wasm
	@$(MAKE) --no-print-directory -C decoders-wasm $(ROUTE:%=ROUTE=%) others

rust-plugins: ## build those in Rust alone, which need neither npm nor pip
	@.ci/install plugins
	@$(MAKE) --no-print-directory -C decoders-wasm $(ROUTE:%=ROUTE=%) rust

# What packages hold beside the binary is laid out by deploy/stage.
deb: examples rust-plugins ## build the Debian package, target/dist/*.deb
	@.ci/install package
	@headers=$$($(call headers,build --release)); \
	  deploy/stage $(TARGET)/release/ebpf_wasm_exporter examples $(TARGET)/plugins $$headers $(TARGET)/release/package
	cargo deb --no-build $(LOCKED) --output $(abspath $(TARGET))/dist/ --manifest-path host/Cargo.toml

release: rust-plugins ## build what a release holds, target/dist: an archive, the Debian package, a list of parts
	@.ci/install release
	deploy/release $(TARGET)/plugins $(TARGET)/dist

test: ## run all tests; those of the kernel only as root, or with RUNNER='sudo -E'
	@.ci/install test
	@$(call try,plugins,tests that need one are SKIPPED)
	cargo test --workspace $(LOCKED) $(STARTED) $(ARGS)
	@[ -z "$(SUDO)" ] || [ -n "$(RUNNER)" ] \
	  || echo "make test: kernel tests were SKIPPED without root; run: make test RUNNER='sudo -E'"

# Which of Debian's. .ci/install knows where others are.
KERNELS ?= 6.1,6.12

# The trials, and what boots kernels for them. The first trials are only here to have objects compiled, which takes
# an emulated machine too long.
test-kernels: ## try kernels in emulated machines; KERNELS=5.10,6.18 for others, ARGS=hooks for some trials
	@.ci/install test
	@.ci/install kernels $(subst $(comma), ,$(KERNELS))
	@built=$$(cargo test --workspace $(LOCKED) --no-run --message-format=json-render-diagnostics --test kernel --test kernels \
	    | sed -n 's|.*"executable":"\([^"]*\)".*|\1|p'); \
	  trials=$$(grep '/kernel-[^/]*$$' <<<"$$built"); \
	  $$trials --quiet check:: >/dev/null; \
	  KERNELS=$(KERNELS) TRIALS=$$trials $$(grep '/kernels-[^/]*$$' <<<"$$built") $(ARGS)

# The exporter as in the image: with a C library in it, so that the emulator needs none.
ARM64 := aarch64-unknown-linux-gnu
ARM64_LIBRARIES := $(CURDIR)/.ci/tools/arm64/usr
test-arm64: ## build for arm64, and try that in an emulator: configs, recordings, plugins
	@.ci/install arm64
	@$(call try,rust-plugins,what needs one fails)
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS=-Ctarget-feature=+crt-static \
	CFLAGS_aarch64_unknown_linux_gnu=-I$(ARM64_LIBRARIES)/include \
	LIBBPF_SYS_LIBRARY_PATH_aarch64_unknown_linux_gnu=$(ARM64_LIBRARIES)/lib/aarch64-linux-gnu \
	  cargo build $(LOCKED) --features libbpf-sys/static --target $(ARM64)
	@headers=$$(echo $(abspath $(TARGET))/$(ARM64)/debug/build/libbpf-sys-*/out/include); \
	  $(MAKE) --no-print-directory -C examples ARCH=arm64 OUT=$(abspath $(TARGET))/examples-arm64 LIBBPF_HEADERS=$${headers%% *}
	ARM64=$(abspath $(TARGET))/$(ARM64)/debug/ebpf_wasm_exporter ARM64_OBJECTS=$(abspath $(TARGET))/examples-arm64 \
	  cargo test --workspace $(LOCKED) --test arm64 $(ARGS)

# For how long: 90s, 2m, 1h. The table at the end says what was done in that time.
soak: ## keep an exporter busy, as root: no scrape may fail, and it may not take more and more; FOR=1h for longer
	@.ci/install test
	SOAK_FOR=$(or $(FOR),2m) cargo test --workspace $(LOCKED) $(STARTED) --test soak $(ARGS)

# Which doors, and for how long each; or with INPUT one file, once more. What is found lies in host/fuzz/artifacts, what
# was tried on the way in host/fuzz/corpus. Our own crates alone are built for libFuzzer, the others as for tests, so
# that it takes minutes less and any toolchain will do.
TARGETS ?= $(notdir $(basename $(wildcard host/fuzz/fuzz_targets/*.rs)))
fuzz: ## feed each door with bytes that libFuzzer makes up; TARGETS='yaml http' for some, FOR=1h for longer than a minute
	@.ci/install fuzz
	cargo build --workspace $(LOCKED) --bin ebpf_wasm_exporter
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/host/fuzz/instrument cargo build --workspace $(LOCKED) \
	  --features ebpf_wasm_exporter_fuzz/libfuzzer $(TARGETS:%=--bin %)
	@cd host/fuzz; for target in $(TARGETS); do \
	  mkdir -p corpus/$$target artifacts/$$target; \
	  EXPORTER=$(abspath $(TARGET))/debug/ebpf_wasm_exporter $(abspath $(TARGET))/debug/$$target \
	    -max_total_time=$$(($(subst h,*3600,$(subst m,*60,$(subst s,,$(or $(FOR),1m)))))) \
	    -timeout=20 -rss_limit_mb=2048 -artifact_prefix=artifacts/$$target/ -print_final_stats=1 $(ARGS) \
	    $(or $(INPUT),corpus/$$target seeds/$$target); \
	done

bench: ## measure scrapes beside the kernel's own batch read, as root; ONLY=10k,100k for some parts
	@.ci/install test
	@$(call try,rust-plugins,what needs one is left out)
	cargo bench -p ebpf_wasm_exporter $(LOCKED) --bench scrape

bench-micro: ## measure the parts of a warm scrape between kernel and socket alone; ARGS=gzip for some
	@.ci/install build
	cargo bench -p ebpf_wasm_exporter $(LOCKED) --bench micro -- $(ARGS)

# Two runs that differ by ten scrapes: what they share, the start above all, does not count.
bench-instructions: ## count the instructions of one such scrape of 10,000 rows, text and gzip
	@.ci/install instructions
	@micro=$$(cargo bench -p ebpf_wasm_exporter --quiet $(LOCKED) --bench micro --no-run --message-format=json-render-diagnostics \
	    | sed -n 's|.*"executable":"\([^"]*/micro-[^"]*\)".*|\1|p'); \
	  count() { valgrind --tool=callgrind --callgrind-out-file=/dev/null $$micro --scrapes $$1 2>&1 | sed -n 's/.*Collected : //p'; }; \
	  echo "10k.warm_scrape.instructions $$(( ($$(count 12) - $$(count 2)) / 10 )) instructions"

bench-overhead: ## measure what counting an event costs it, as root; ONLY=raw_tp,tp_btf for some hooks
	@.ci/install test
	cargo bench -p ebpf_wasm_exporter $(LOCKED) --bench overhead

bench-attacks: ## measure a scrape a second under attack; ARGS='127.0.0.1:9435 PID' for a server that runs
	@.ci/install build
	cargo bench -p ebpf_wasm_exporter $(LOCKED) --bench attacks -- $(ARGS)

# Builds as CI does not: it takes an engine, and some minutes. ENGINE=podman, IMAGE=registry/name and ARGS as you like.
ENGINE ?= docker
IMAGE ?= ebpf_wasm_exporter
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

image: ## build the container images IMAGE:VERSION and IMAGE:VERSION-examples; needs docker, or ENGINE=podman
	@command -v $(ENGINE) >/dev/null || { echo "make image: found no $(ENGINE); install docker.io, or set ENGINE" >&2; exit 1; }
	@for target in exporter examples; do \
	  tag=$(IMAGE):$(VERSION); [ $$target = exporter ] || tag+=-$$target; \
	  $(ENGINE) build $(ARGS) --target $$target --tag $$tag --build-arg VERSION=$(VERSION) \
	    --build-arg REVISION=$$(git rev-parse HEAD) --build-arg BRANCH=$$(git rev-parse --abbrev-ref HEAD) \
	    --build-arg SOURCE_DATE_EPOCH=$$(git show -s --format=%ct) .; \
	done

docs: ## build the book of docs/, target/book/index.html, and check every link and table of it
	@.ci/install docs
	mdbook build docs
	cargo test --workspace $(LOCKED) --test docs

mixin: ## render the dashboards, alerts and rules of deploy/mixin
	@.ci/install mixin
	rm -rf deploy/mixin/rendered
	.ci/tools/jsonnet/bin/python3 deploy/mixin/render.py deploy/mixin/rendered

lint: ## check format, lints, docs, the guest crate as a package, examples for arm64, and dependencies
	@.ci/install lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets $(LOCKED) --features ebpf_wasm_exporter_fuzz/libfuzzer -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items $(LOCKED)
	cargo publish --dry-run --quiet --allow-dirty --package ebpf-exporter-plugin $(LOCKED)
	@headers=$$($(call headers,check --workspace)); \
	  $(MAKE) --no-print-directory -C examples ARCH=arm64 OUT=$(abspath $(TARGET))/examples-arm64 LIBBPF_HEADERS=$$headers
	@rust=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); grep -qx "ARG RUST=$$rust" Dockerfile \
	  || { echo "make lint: Dockerfile builds with another Rust than rust-version in Cargo.toml, $$rust" >&2; exit 1; }
	cargo deny check bans licenses sources
	@if timeout 60 cargo deny fetch db; then cargo deny check --disable-fetch advisories; \
	  else echo "make lint: advisories were NOT CHECKED: their database cannot be fetched here"; fi
