# The index of commands. `make help` prints it.

CARGO ?= cargo
TARGET ?= $(shell uname -m)-unknown-linux-gnu
IMAGE ?= ghcr.io/lockgate/lockgate:$(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# What the image is made for, and where `make image` leaves it.
ARCHES ?= amd64 arm64
IMAGE_FILE ?= target/image/lockgate.tar
# The binary that `make node` puts into an image, that of `make image` where it is empty; and which of its steps it takes.
LOCKGATE ?=
STEPS ?=
# One static file: no libc, no shell and no other file is needed in the image.
STATIC_FLAGS = -C target-feature=+crt-static $(PACKED_RELOCATIONS)
# A megabyte less to map. The start code of glibc reads this form from 2.36 on, and the linkers of its time write it.
PACKED_RELOCATIONS := $(shell getconf GNU_LIBC_VERSION 2>/dev/null | awk -F'[ .]' '$$2 > 2 || $$3 >= 36 { print "-C link-arg=-Wl,-z,pack-relative-relocs" }')

# Most tests wait for a cluster, not for the processor.
TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

# What libFuzzer needs of the compiler; cargo-fuzz passes the same. Only the fuzz targets are built with it.
FUZZ_FLAGS = --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
# How long the comparison with the real kustomize goes on.
SECONDS ?= 600
# How long `make soak` goes on.
MINUTES ?= 20
# How long each target is fuzzed.
FUZZ_SECONDS ?= 300
# How many platforms `make simulate` brings up, and the first one's seed.
SEEDS ?= 2000
FIRST ?= 0
FUZZ_TARGETS ?= yaml print kustomization strategic_merge json6902 substitution template chart archive index regex

.DEFAULT_GOAL := help
.PHONY: help build release unit test lint fmt deny advisories demo down soak torment simulate bench fuzz oracle image push node

help: ## print this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 12

build: ## build the debug binary
	$(CARGO) build --locked

release: ## build the static release binary
	RUSTFLAGS="$(STATIC_FLAGS)" $(CARGO) build --locked --release --target $(TARGET)

unit: ## pure tests only: seconds, no cluster
	$(CARGO) test --locked -p lockgate-base -p lockgate-render -p lockgate-core

test: ## everything, integration tests with a real control plane included
	tests/harness/scripts/install-tools.sh
	tests/controlplane/build.sh
	tests/registry/build.sh
	RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --locked --workspace

lint: ## clippy, warnings are errors
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

fmt: ## check the format
	$(CARGO) fmt --all --check

deny: ## check licences, bans and sources
	tests/harness/scripts/cargo-deny.sh check licenses bans sources

advisories: ## compare the lock files with a copy of the RustSec database in the folder DATABASE
	tests/harness/scripts/advisories.py --database "$(DATABASE)" Cargo.lock fuzz/Cargo.lock

demo: ## a platform from nothing to Ready on this machine; KEEP=1 leaves it running
	tests/harness/scripts/install-tools.sh
	tests/controlplane/build.sh
	$(CARGO) build --locked --workspace
	KEEP=$(KEEP) $(CARGO) run --locked --quiet -p harness --bin demo

down: ## stop what `make demo KEEP=1` left running
	$(CARGO) run --locked --quiet -p harness --bin demo -- down

soak: ## a platform for MINUTES among commits, drift, hosts that come and go, and kills; fails on what is lost or grows
	tests/harness/scripts/install-tools.sh
	tests/controlplane/build.sh
	SOAK_MINUTES=$(MINUTES) $(CARGO) test --locked --test integration soak -- --nocapture

torment: ## what asks for too much, in control groups: bombs, large platforms, hogs, silent hosts and sockets, slow lines, builds that end the agent
	tests/harness/scripts/install-tools.sh
	tests/controlplane/build.sh
	TORMENT=1 $(CARGO) test --locked --test integration -- --nocapture --test-threads 2 bombs quarantine confined large hostile outage lease \
		chart_mistakes probes_are silent source::faults

simulate: ## SEEDS platforms in simulated time, among people and faults, from seed FIRST on; SEED=x replays one
	$(CARGO) run --locked --quiet --profile simulation -p simulation --bin simulate -- $(if $(SEED),--replay $(SEED),$(SEEDS) $(FIRST))

bench: release ## the figures that README states, against the floor in the same run
	tests/harness/scripts/install-tools.sh
	tests/controlplane/build.sh
	RUSTFLAGS="$(STATIC_FLAGS)" LOCKGATE=$(CURDIR)/target/$(TARGET)/release/lockgate $(CARGO) bench --locked --target $(TARGET)

fuzz: ## feed the renderer what nobody would write; FUZZ_SECONDS for each of FUZZ_TARGETS
	cd fuzz && RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --locked --release --target $(TARGET)
	cd fuzz && target/$(TARGET)/release/seeds && for target in $(FUZZ_TARGETS); do \
		mkdir -p artifacts/$$target corpus/$$target && \
		target/$(TARGET)/release/$$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
			-dict=words.dict -artifact_prefix=artifacts/$$target/ corpus/$$target || exit 1; \
	done

oracle: ## compare with the real kustomize and its printer for SECONDS, each round with another seed
	@end=$$(( $$(date +%s) + $(SECONDS) )); seed=$$(date +%s); \
	while [ $$(date +%s) -lt $$end ]; do \
		echo "seed $$seed"; \
		ORACLE_SEED=$$seed ORACLE_CASES=1000 $(CARGO) test --locked --quiet --test integration oracle:: || exit 1; \
		seed=$$((seed + 1)); \
	done

image: ## the container image of ARCHES as an OCI archive, for musl; needs no container tool
	tests/harness/scripts/image.sh "$(IMAGE)" "$(IMAGE_FILE)" $(ARCHES)

push: ## push what `make image` has built as IMAGE
	tests/harness/scripts/image.py push "$(IMAGE_FILE)" "$(IMAGE)"

node: ## the image in a pod on a real node: kills, upgrades, a reboot, faults; needs root
	tests/node/run.sh "$(LOCKGATE)" "$(STEPS)"
