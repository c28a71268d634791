# What people type. Everything that is missing is installed first, with a line that says so.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Libraries that the build links, and what the live tests run on.
BUILD_NEEDS := libsqlite3-dev zlib1g-dev
TEST_NEEDS := $(BUILD_NEEDS) python3 python3-venv curl openssl nginx haproxy caddy nghttp2-client chromium prometheus strace systemd zsh fish slowhttptest wrk iproute2 \
	postgresql nats-server libnats3.4

BENCH_NEEDS := $(BUILD_NEEDS) python3 python3-venv nginx-core libnginx-mod-nchan libuv1 postgresql nats-server libnats3.4

# Swift's runtime and libraries in the program: it needs none on the machine, and a single tip takes a tenth less.
SHIPPED := swift build -c release --static-swift-stdlib --scratch-path .build-static

# What is tested. Crashes name lines of Swift; what only an editor or a debugger asks for is left out, which saves a fifth of the time. A bare
# `swift build` makes it, and builds everything anew, since its flags are others.
DEBUG := swift build -debug-info-format none -Xswiftc -gline-tables-only

VENV := .venv
# Live tests that run once more with PostgreSQL in the place of SQLite, as every other one can, and those that need it.
ON_POSTGRES := $(addprefix Tests/Live/, test_feed.py test_event_hook.py test_eventsub.py test_migrate.py \
	test_doctor_postgres.py)
SWIFT_SOURCES := Package.swift Sources Tests Benchmarks Fuzz/Package.swift Fuzz/Sources/tipwire-fuzz

.PHONY: help run build test test-live test-beside test-units test-postgres test-fuzz check tsan asan fuzz trial format docs bench release

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

run: ## Build for release and start a server to try, with a page and a key (ARGS="--port 9000" adds options)
	@scripts/need $(BUILD_NEEDS)
	@echo "Building Tipwire for release; the first time takes about ten minutes, later ones seconds."
	@swift build -c release --product tipwire
	@exec .build/release/tipwire serve --demo $(ARGS)

build: ## Build what is tested into .build/debug
	@scripts/need $(BUILD_NEEDS)
	$(DEBUG) --build-tests

test: ## Build and run every test, the live ones with foreign clients included
	@scripts/need $(TEST_NEEDS)
	@echo "Building the tests; the first time takes about six minutes."
	$(DEBUG) --build-tests
	@scripts/venv $(VENV) Tests/Live/requirements.txt
	@# The live tests wait for half of their time; all others together take as long.
	$(MAKE) --no-print-directory --jobs=2 --output-sync=line test-live test-beside

test-beside:
	$(MAKE) --no-print-directory test-units
	$(MAKE) --no-print-directory test-postgres
	$(MAKE) --no-print-directory test-fuzz

test-units:
	scripts/with-postgres swift test --skip-build --no-parallel

test-live:
	TIPWIRE_BINARY=$(CURDIR)/.build/debug/tipwire $(VENV)/bin/python -m pytest -q Tests/Live

test-postgres:
	TIPWIRE_BINARY=$(CURDIR)/.build/debug/tipwire scripts/with-postgres $(VENV)/bin/python -m pytest -q $(ON_POSTGRES)

test-fuzz:
	nice scripts/fuzz 5

check: ## Lint, then test
	swift format lint --strict --recursive $(SWIFT_SOURCES)
	$(MAKE) test

tsan: ## Run the live tests, and those of what sends, with what tells of data races (ARGS=Tests/Live/test_drain.py for some of them)
	@scripts/need $(TEST_NEEDS)
	@scripts/venv $(VENV) Tests/Live/requirements.txt
	scripts/sanitize thread $(ARGS)

asan: ## The same with what tells of bytes that aren't one's own
	@scripts/need $(TEST_NEEDS)
	@scripts/venv $(VENV) Tests/Live/requirements.txt
	scripts/sanitize address $(ARGS)

fuzz: ## Give random bytes to all that reads strangers' bytes, ten minutes each (SECONDS=60 for a shorter run)
	@scripts/need $(BUILD_NEEDS) python3
	scripts/fuzz $(or $(SECONDS),600)

trial: ## Ten minutes of three nodes on one PostgreSQL, of which something always fails (ARGS="--minutes 60 --nats --namespaces")
	@scripts/need $(TEST_NEEDS)
	@scripts/venv $(VENV) Tests/Live/requirements.txt
	$(DEBUG) --product tipwire
	scripts/node-trial $(ARGS)

format: ## Format all Swift sources in place
	swift format --in-place --recursive $(SWIFT_SOURCES)

docs: ## Write the table of settings into docs/configuration.md, from the program, and docs/reference
	@scripts/need $(BUILD_NEEDS)
	$(DEBUG) --build-tests
	scripts/settings-table .build/debug/tipwire docs/configuration.md
	scripts/render-documents docs/reference

bench: ## Measure intake, fan-out, webhooks and several servers, beside peers, into Benchmarks/RESULTS.md (ARGS="--quick" for a short run)
	@scripts/need $(BENCH_NEEDS)
	@scripts/venv .venv-bench Benchmarks/requirements.txt
	@echo "Building what is shipped, in a folder of its own; the first time takes about ten minutes."
	$(SHIPPED) --product tipwire
	$(SHIPPED) --product tipwire-bench
	.build-static/release/tipwire-bench --results Benchmarks/RESULTS.md $(ARGS)
	@scripts/venv $(VENV) Tests/Live/requirements.txt
	$(if $(findstring --only,$(ARGS)),@true,TIPWIRE_BINARY=$(CURDIR)/.build-static/release/tipwire scripts/node-latency \
		--results Benchmarks/RESULTS.md $(if $(findstring --quick,$(ARGS)),--seconds 2 --rounds 1))

release: ## Build what is shipped into .build-static: tipwire, stripped, with Swift linked in, a .deb, and checksums
	@scripts/need $(BUILD_NEEDS) binutils dpkg
	@echo "Building in a folder of its own; the first time takes about ten minutes."
	$(SHIPPED) --product tipwire
	scripts/package .build-static/release/tipwire .build-static
	@ls -l .build-static/tipwire*
