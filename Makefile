# The everyday targets, and the extension by PGXS. `make help` lists them.
EXTENSION = sealcast
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" sealcast.control)
MODULE_big = sealcast
OBJS = $(patsubst %.cpp,%.o,$(wildcard extension/core/*.cpp extension/pg/*.cpp))
DATA_built = sealcast--$(EXTVERSION).sql
DATA = $(wildcard sql/upgrade/sealcast--*--*.sql)
PG_CONFIG ?= pg_config
SHLIB_LINK = -lcrypto -lstdc++
PG_CXXFLAGS = -std=c++20 -Wall -Wextra -Wno-missing-field-initializers -fvisibility=hidden
PG_CPPFLAGS = -I$(CURDIR)/extension
EXTRA_CLEAN = $(DATA_built)
# Bitcode would only serve JIT inlining of functions that are never inlined.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(PGXS),)
include $(PGXS)
endif

# The numbered pieces, in the order a message meets them.
sealcast--$(EXTVERSION).sql: $(sort $(wildcard sql/[0-9]*.sql))
	cat $^ > $@

$(OBJS): $(wildcard extension/core/*.h extension/pg/*.h)
