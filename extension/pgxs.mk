# Builds and installs both extensions by PGXS. The Makefile of the root calls it in build/extension/pgNN, so that no
# compiler output lands in the source folders: make -C build/extension/pg15 -f ROOT/extension/pgxs.mk VPATH=ROOT
EXTENSION = sealcast sealcast_economy
version_of = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(VPATH)/$1.control)
MODULE_big = sealcast
SOURCES = $(patsubst $(VPATH)/%,%,$(wildcard $(addprefix $(VPATH)/,core/*.cpp core/terms/*.cpp extension/*.cpp extension/*/*.cpp)))
OBJS = $(SOURCES:.cpp=.o)
DATA_built = $(foreach name,$(EXTENSION),$(name)--$(call version_of,$(name)).sql)
DATA = $(patsubst $(VPATH)/%,%,$(wildcard $(foreach name,$(EXTENSION),$(VPATH)/sql/upgrade/$(name)--*--*.sql)))
EXPORTS = $(VPATH)/extension/exports.map
SHLIB_LINK = -lcrypto $(shell pkg-config --libs re2 icu-i18n icu-uc) -lstdc++ -Wl,--version-script=$(EXPORTS)
# The tests add -Werror by SEALCAST_CXXFLAGS. -MMD notes for each object which headers it depends on.
PG_CXXFLAGS = -std=c++20 -O3 -Wall -Wextra -fvisibility=hidden -MMD -MP $(SEALCAST_CXXFLAGS)
# The server's headers are system headers: warnings in them are not ours to fix.
PG_CPPFLAGS = -I$(VPATH) -I$(VPATH)/extension -isystem $(shell $(PG_CONFIG) --includedir-server)
EXTRA_CLEAN = $(OBJS:.o=.d)
# Bitcode is for JIT inlining only, and none of our functions is ever inlined.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# The numbered files are in the order in which a message uses them.
$(filter sealcast--%,$(DATA_built)): $(sort $(wildcard $(VPATH)/sql/[0-9]*.sql))
	cat $^ > $@
$(filter sealcast_economy--%,$(DATA_built)): $(sort $(wildcard $(VPATH)/sql/economy/[0-9]*.sql))
	cat $^ > $@

$(shlib): $(EXPORTS)
$(shell mkdir -p $(dir $(OBJS)))
-include $(OBJS:.o=.d)
