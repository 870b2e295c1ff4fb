# The everyday targets, and the extensions by PGXS. `make help` lists them.
PG_CONFIG ?= pg_config
PG_MAJOR = $(shell $(PG_CONFIG) --version 2>/dev/null | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
EXTENSION_BUILD = build/extension/pg$(PG_MAJOR)

# pg_config may come without the server's files. `local/deps build` installs them.
all install uninstall:
	@test -e "$$($(PG_CONFIG) --pgxs 2>/dev/null)" || local/deps build
	@test -e "$$($(PG_CONFIG) --pgxs)" || { echo "make: $(PG_CONFIG) knows no PGXS; set PG_CONFIG to your server's" >&2; exit 1; }
	@mkdir -p $(EXTENSION_BUILD)
	@$(MAKE) --no-print-directory -C $(EXTENSION_BUILD) -f $(CURDIR)/extension/pgxs.mk VPATH=$(CURDIR) PG_CONFIG=$(PG_CONFIG) $@
clean:
	rm -rf build/extension

# ---- Everyday targets: what they do is in local/ and tests/.

TEST_SUITES = $(addprefix test-,unit pgtap upgrade integration client docs fuzz asan integration-asan tsan)
.PHONY: all install uninstall clean help deps sidecar run up down status test $(TEST_SUITES) fuzz chaos soak bench events-soak coverage test-pg17 \
  test-compose format lint
BUILD ?= build

help: ## This list
	@printf 'all\tThe extensions, for the server of PG_CONFIG\ninstall\tInstalls them there\n' | expand -t 20
	@sed -n 's/^\([a-z -]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
run: ## A whole system under .local/, in the foreground; Ctrl-C stops it (SEALCAST_LOCAL=DIR puts it elsewhere)
	@local/run
up: ## The same in the background; .local/env tells other tools where it is
	@local/up
down: ## Stops it; the data stay
	@local/down
status: ## What runs of it, and where
	@local/status || true
test: ## Every suite, and the sum of them; `make test-SUITE` runs one of them
	@tests/run.sh
$(TEST_SUITES):
	@tests/run.sh $(@:test-%=%)
test-pg17: ## The extension on the PostgreSQL of Debian's next release, in a chroot (root; about 1 GB, kept in build/)
	@tests/pg17.sh
test-compose: ## The containers, by a Docker engine of its own (root; builds the images)
	@tests/compose.sh
coverage: ## What of core and sidecar the unit tests reach
	@tests/coverage.sh
fuzz: ## The fuzzers at length (SECONDS_EACH=600)
	@tests/fuzz.sh $(or $(SECONDS_EACH),600)
chaos: ## Faults under load (MINUTES=2); SEED=N repeats a schedule
	@tests/chaos.sh
soak: ## Steady load (MINUTES=10): memory, tables and indexes over the time
	@tests/soak.sh
bench: ## The figures
	@bench/run.sh
events-soak: ## 200,000 events while workers, Redis and Postgres fail, and events a second beside other ways (EVENTS=N)
	@local/deps run build test
	@local/cmake $(BUILD) sealcastd
	@EVENTS=$(or $(EVENTS),200000) SEALCASTD=$(BUILD)/sealcastd node --test --test-reporter=spec tests/integration/worker_soak.test.mjs
	@EVENTS=$(or $(EVENTS),200000) SEALCASTD=$(BUILD)/sealcastd node bench/events.mjs
sidecar: ## sealcastd, into build/
	@local/cmake $(BUILD) sealcastd
deps: ## Installs by apt what any target needs
	@local/deps run build test bench lint
format: ## Formats the C++ code
	@local/deps lint
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i
lint: ## Formatting, shell scripts, cppcheck, clang-tidy (half an hour on two cores; SINCE=main: what changed since)
	@tests/lint.sh
