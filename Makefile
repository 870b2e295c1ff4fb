# Builds the extensions by PGXS and defines the everyday targets. `make help` lists them.
PG_CONFIG ?= pg_config
PG_MAJOR = $(shell $(PG_CONFIG) --version 2>/dev/null | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
EXTENSION_BUILD = build/extension/pg$(PG_MAJOR)

# pg_config can be installed without PGXS and the server's headers. Then `local/deps build` installs them.
all install uninstall:
	@test -e "$$($(PG_CONFIG) --pgxs 2>/dev/null)" || local/deps build
	@test -e "$$($(PG_CONFIG) --pgxs)" || { echo "make: $(PG_CONFIG) finds no PGXS; set PG_CONFIG to your server's pg_config" >&2; exit 1; }
	@# Earlier versions built in the root, where VPATH would find their output.
	@rm -f sealcast.so sealcast--*.sql sealcast_economy--*.sql
	@mkdir -p $(EXTENSION_BUILD)
	@$(MAKE) --no-print-directory -C $(EXTENSION_BUILD) -f $(CURDIR)/extension/pgxs.mk VPATH=$(CURDIR) PG_CONFIG=$(PG_CONFIG) $@
clean:
	rm -rf build/extension

# ---- Everyday targets. Their scripts are in local/, tests/ and bench/.

TEST_SUITES = $(addprefix test-,unit pgtap upgrade integration client docs fuzz asan integration-asan tsan)
.PHONY: all install uninstall clean help deps sidecar run up down status test $(TEST_SUITES) fuzz chaos soak bench events-soak coverage test-pg17 \
  test-rabbitmq test-compose format lint
BUILD ?= build

help: ## Prints this list; NAME=VALUE names a variable and its default value
	@printf 'all\tBuilds the extensions for the server of PG_CONFIG\ninstall\tInstalls the extensions there\n' | expand -t 20
	@printf 'uninstall\tRemoves the extensions there\nclean\tRemoves the build files of the extensions\n' | expand -t 20
	@sed -n 's/^\([a-z0-9 -]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
	@printf 'test-SUITE\tRuns one suite: $(TEST_SUITES:test-%=%)\n' | expand -t 20
run: ## Runs the whole system in the foreground, with its files in .local/ (or SEALCAST_LOCAL=DIR); Ctrl-C stops it
	@local/run
up: ## Starts the same system in the background; .local/env has its addresses for other tools
	@local/up
	@local/status
down: ## Stops the system of `make up` and keeps its data
	@local/down
status: ## Shows which services run, and their addresses
	@local/status || true
test: ## Runs all test suites and prints the totals
	@tests/run.sh
$(TEST_SUITES):
	@tests/run.sh $(@:test-%=%)
test-pg17: ## Tests the extension on PostgreSQL 17 of Debian 13, in a chroot (needs root; keeps about 1 GB in build/)
	@tests/pg17.sh
test-rabbitmq: ## Tests the transport mqtt with the RabbitMQ of Debian 13, in a chroot (needs root; keeps about 0.5 GB in build/)
	@tests/rabbitmq.sh
test-compose: ## Builds and tests the containers with a private Docker engine (needs root)
	@tests/compose.sh
coverage: ## Measures how much of core and sidecar the unit tests reach
	@tests/coverage.sh
fuzz: ## Runs each fuzzer for SECONDS_EACH=600 seconds
	@tests/fuzz.sh $(or $(SECONDS_EACH),600)
chaos: ## Injects faults under load and checks every guarantee (MINUTES=2); SEED=N repeats a schedule, FAULTS=NAME,… limits it
	@tests/chaos.sh
soak: ## Checks that memory, tables and indexes do not grow under steady load (MINUTES=10)
	@tests/soak.sh
bench: ## Measures the performance figures, in about 15 minutes
	@bench/run.sh
events-soak: ## Applies events while workers, Redis and Postgres fail, and measures events per second (EVENTS=200000)
	@local/deps run build test
	@local/cmake $(BUILD) sealcastd
	@EVENTS=$(or $(EVENTS),200000) SEALCASTD=$(BUILD)/sealcastd node --test --test-reporter=spec tests/integration/worker_soak.test.mjs
	@EVENTS=$(or $(EVENTS),200000) SEALCASTD=$(BUILD)/sealcastd node bench/events.mjs
sidecar: ## Builds sealcastd in build/
	@local/cmake $(BUILD) sealcastd
deps: ## Installs the packages that the targets need, by apt
	@local/deps run build test bench lint
format: ## Formats the C++ code
	@local/deps lint
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i
lint: ## Checks formatting, scripts and C++, in 30 minutes on 2 cores; with SINCE=COMMIT clang-tidy checks only changes
	@tests/lint.sh
