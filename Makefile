# The build of sluice. `make help` lists what there is; scripts/layers.txt says who may use whom.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all

# Variables (make NAME=value) ----------------------------------------------------------------------
BUILD        ?= build#v where everything built goes
SAN          ?=#v sanitizers: address, undefined, thread or address,undefined; builds into BUILD-SAN
CXXFLAGS     ?=#v more flags for the C++ compiler
LDFLAGS      ?=#v more flags for the linker
PREFIX       ?= /usr/local#v where install puts programs and units
SYSCONFDIR   ?= /etc#v where install puts the folder sluice/ with the configuration
DESTDIR      ?=#v a root to install under
FUZZ_SECONDS ?= 60#v how long make fuzz runs each target
TEST_ARGS    ?=#v arguments for the test programs, such as -tc='*smuggling*'
TEST_ID      ?=#v the one test of http-cache-tests whose messages make conformance shows
SOAK_ARGS    ?=#v arguments for bench/soak, such as --redis
SALE_ARGS    ?=#v arguments for bench/flash-sale, such as --seed 7
TEST_TIMEOUT ?= 900#v seconds after which a test program is aborted
PORT         ?=#v where the demo listens instead of 8080
V            ?=#v 1 shows the commands
ifeq ($(origin CXX),default)
CXX := g++
endif
ifeq ($(origin CC),default)
CC := gcc
endif
FUZZ_CXX ?= clang++-16
FUZZ_CC  ?= clang-16

comma := ,
empty :=
space := $(empty) $(empty)
Q     := $(if $(V),,@)
say    = $(if $(V),,@printf '  %-5s %s\n' $(1) $(patsubst $(CURDIR)/%,%,$(2)))
ROOT  := $(CURDIR)
O     := $(BUILD)$(if $(SAN),-$(subst $(comma),-,$(SAN)))
OABS  := $(abspath $(O))

# Modules ------------------------------------------------------------------------------------------
# The table gives USES_<module>, what it may include; what it links is the closure of that.
MODULES :=
$(foreach l,$(shell sed -nE 's/[[:space:]]*\#.*//; s/^([a-z]+):[[:space:]]*/\1:/p' scripts/layers.txt | tr -s ' ' ','), \
  $(eval MODULES += $(firstword $(subst :, ,$(l)))) \
  $(eval USES_$(firstword $(subst :, ,$(l))) := $(subst $(comma), ,$(word 2,$(subst :, ,$(l))))))
closure = $(sort $(1) $(foreach m,$(1),$(USES_$(m)) $(foreach n,$(USES_$(m)),$(USES_$(n)))))

sources = $(sort $(filter-out src/$(1)/main.cc,$(shell find src/$(1) -name '*.cc' 2>/dev/null)))
$(foreach m,$(MODULES),$(eval SRC_$(m) := $(call sources,$(m))))
lib_of  = $(foreach m,$(1),$(if $(SRC_$(m)),$(O)/lib/lib$(m).a))
objects = $(patsubst %.cc,$(O)/obj/%.o,$(1))

# Libraries ----------------------------------------------------------------------------------------
PKGS        := libuv libnghttp2 openssl yaml-cpp hiredis fmt libxxhash libsystemd zlib
PKGS_ORDERS := sqlite3 libpq
PKG_MISSING := $(shell for p in $(PKGS) $(PKGS_ORDERS); do pkg-config --exists $$p 2>/dev/null || echo $$p; done)
PKG_CFLAGS  := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS) $(PKGS_ORDERS) 2>/dev/null))
PKG_LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
ORDERS_LIBS := $(shell pkg-config --libs $(PKGS_ORDERS) 2>/dev/null)

# llhttp: a package of its own on Debian 13; on Debian 12 its C sources come with node-llhttp.
ifneq ($(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),)
LLHTTP_CFLAGS := $(shell pkg-config --cflags libllhttp)
LLHTTP_LIBS   := $(shell pkg-config --libs libllhttp)
LLHTTP_LIB    :=
else
LLHTTP_SRC    := $(wildcard /usr/share/llhttp/*.c)
LLHTTP_CFLAGS := -DLLHTTP_STRICT_MODE=1 -isystem /usr/share/include/llhttp
LLHTTP_LIBS   :=
LLHTTP_LIB    := $(O)/lib/libllhttp.a
PKG_MISSING   += $(if $(LLHTTP_SRC),,llhttp)
endif

# Flags --------------------------------------------------------------------------------------------
WARN       := -Wall -Wextra -Wpedantic
SAN_FLAGS  := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# With a sanitizer g++ 12 sees uninitialised variables and fences that are none of ours.
SAN_WARN   := $(if $(SAN),-Wno-error=maybe-uninitialized $(if $(findstring thread,$(SAN)),-Wno-error=tsan))
ALL_CPPFLAGS := -Iinclude $(LLHTTP_CFLAGS) $(PKG_CFLAGS) $(CPPFLAGS)
ALL_CXXFLAGS := -std=c++20 -O2 -g -pthread $(WARN) -Werror $(SAN_FLAGS) $(SAN_WARN) $(CXXFLAGS)
ALL_LDFLAGS  := -pthread -Wl,--as-needed $(SAN_FLAGS) $(LDFLAGS)
LLHTTP_FLAGS := -O3 -g -w $(SAN_FLAGS)

# link(output, objects, archives, libraries)
link = $(Q)$(CXX) $(ALL_LDFLAGS) -o $(1) $(2) $(if $(3),-Wl$(comma)--start-group $(3) -Wl$(comma)--end-group) $(4)
BASE_LIBS = $(LLHTTP_LIBS) $(PKG_LIBS)

# Programs -----------------------------------------------------------------------------------------
SLUICE_LIBS := $(call lib_of,$(call closure,server)) $(LLHTTP_LIB)
ORDERS_ARCH := $(call lib_of,$(call closure,orders)) $(LLHTTP_LIB)
PROGRAMS    := $(if $(wildcard src/server/main.cc),$(O)/sluice) $(if $(wildcard src/orders/main.cc),$(O)/sluice-orders)

.PHONY: all
all: $(PROGRAMS) $(call lib_of,$(MODULES)) ## Build both programs (the default)

$(O)/sluice: $(O)/obj/src/server/main.o $(SLUICE_LIBS) $(O)/stamp/flags
	$(call say,LINK,$@)
	$(call link,$@,$<,$(SLUICE_LIBS),$(BASE_LIBS))

$(O)/sluice-orders: $(O)/obj/src/orders/main.o $(ORDERS_ARCH) $(O)/stamp/flags
	$(call say,LINK,$@)
	$(call link,$@,$<,$(ORDERS_ARCH),$(BASE_LIBS) $(ORDERS_LIBS))

# Objects and archives -----------------------------------------------------------------------------
# A stamp is rewritten only when its text differs: changed flags rebuild, and so does a source that
# went away.
define write_stamp
@mkdir -p $(@D)
@echo '$(1)' | cmp -s - $@ || echo '$(1)' > $@
endef

.PHONY: FORCE need-packages
FORCE:
need-packages:
	@$(if $(strip $(PKG_MISSING)),echo "not installed: $(strip $(PKG_MISSING)); run 'make deps'" >&2; exit 1,:)

$(O)/stamp/flags: FORCE
	$(call write_stamp,$(filter-out ccache,$(CXX)) $(ALL_CPPFLAGS) $(ALL_CXXFLAGS) $(ALL_LDFLAGS))

$(O)/stamp/lib-%: FORCE
	$(call write_stamp,$(SRC_$*))

$(O)/stamp/tests-%: FORCE
	$(call write_stamp,$(TEST_SRC_$*))

$(O)/obj/%.o: %.cc $(O)/stamp/flags | need-packages
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(ALL_CPPFLAGS) $(if $(filter tests/%,$<),-iquote .) $(ALL_CXXFLAGS) -MMD -MP -c -o $@ $<

$(O)/obj/llhttp/%.o: /usr/share/llhttp/%.c $(O)/stamp/flags | need-packages
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LLHTTP_CFLAGS) $(LLHTTP_FLAGS) -MMD -MP -c -o $@ $<

define archive
$(call say,AR,$@)
@mkdir -p $(@D)
$(Q)rm -f $@ && ar rcsD $@ $(filter %.o,$^)
endef

ifneq ($(LLHTTP_LIB),)
$(LLHTTP_LIB): $(patsubst /usr/share/llhttp/%.c,$(O)/obj/llhttp/%.o,$(LLHTTP_SRC))
	$(archive)
endif

define module_rules
$(O)/lib/lib$(1).a: $(call objects,$(SRC_$(1))) $(O)/stamp/lib-$(1)
	$$(archive)
endef
$(foreach m,$(MODULES),$(eval $(call module_rules,$(m))))

# Unit tests ---------------------------------------------------------------------------------------
# One program a module, which links what the module may use. Helpers may stand beside the tests.
$(foreach m,$(MODULES),$(eval TEST_SRC_$(m) := $(sort $(shell find tests/unit/$(m) -name '*.cc' 2>/dev/null))))
# A database server is run by the harness of the end-to-end tests.
TEST_SRC_orders += $(patsubst %,tests/e2e/harness/%.cc,base postgres process)
TESTED     := $(foreach m,$(MODULES),$(if $(TEST_SRC_$(m)),$(m)))
UNIT_TESTS := $(TESTED:%=$(O)/tests/unit/%_test)
DOCTEST_MAIN := $(O)/obj/tests/unit/main.o
RUN_TESTS   = SLUICE=$(OABS)/sluice SLUICE_ORDERS=$(OABS)/sluice-orders SLUICE_ROOT=$(ROOT) SAN=$(SAN) \
              TEST_TIMEOUT=$(TEST_TIMEOUT) scripts/run_tests.sh

define unit_rules
$(O)/tests/unit/$(1)_test: $(DOCTEST_MAIN) $(call objects,$(TEST_SRC_$(1))) \
    $(call lib_of,$(call closure,$(1))) $(LLHTTP_LIB) $(O)/stamp/tests-$(1)
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(call link,$$@,$$(filter %.o,$$^),$$(filter %.a,$$^),$$(BASE_LIBS) $(if $(filter orders,$(1)),$$(ORDERS_LIBS)))

.PHONY: unit-$(1)
unit-$(1): $(if $(TEST_SRC_$(1)),$(O)/tests/unit/$(1)_test)
	@$$(RUN_TESTS) $(if $(TEST_SRC_$(1)),$(O)/tests/unit/$(1)_test) -- $$(TEST_ARGS)
endef
$(foreach m,$(MODULES),$(eval $(call unit_rules,$(m))))

.PHONY: unit unit-programs
unit-programs: $(UNIT_TESTS)
unit: unit-programs ## Build and run the unit tests (unit-http: only those of http)
	@$(RUN_TESTS) $(UNIT_TESTS) -- $(TEST_ARGS)

# End-to-end tests ---------------------------------------------------------------------------------
TEST_SRC_e2e := $(sort $(shell find tests/e2e -name '*.cc' 2>/dev/null))
E2E_MODULES  := base stats loop http config tls
E2E_ARCH     := $(call lib_of,$(E2E_MODULES)) $(LLHTTP_LIB)
E2E_TEST     := $(if $(TEST_SRC_e2e),$(O)/tests/e2e_test)
# The tests may bring a main of their own.
E2E_MAIN     := $(if $(TEST_SRC_e2e),$(if $(shell grep -lE 'define DOCTEST_CONFIG_IMPLEMENT' $(TEST_SRC_e2e)),,$(DOCTEST_MAIN)))

$(O)/tests/e2e_test: $(E2E_MAIN) $(call objects,$(TEST_SRC_e2e)) $(E2E_ARCH) $(O)/stamp/tests-e2e
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(call link,$@,$(filter %.o,$^),$(E2E_ARCH),$(BASE_LIBS))

.PHONY: e2e
e2e: $(PROGRAMS) $(E2E_TEST) ## Build and run the end-to-end tests
	@$(RUN_TESTS) $(E2E_TEST) -- $(TEST_ARGS)

# Conformance --------------------------------------------------------------------------------------
# The suite comes from npm into the build folder, as package-lock.json pins it, and is used there ever after.
CONFORMANCE := $(O)/conformance
$(CONFORMANCE)/stamp: tests/conformance/package.json tests/conformance/package-lock.json
	$(call say,NPM,$(CONFORMANCE))
	@mkdir -p $(@D) && cp $^ $(@D)
	$(Q)timeout 300 npm --prefix $(@D) ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@

.PHONY: conformance conformance-programs
conformance-programs: $(O)/sluice $(CONFORMANCE)/stamp
conformance: ## Run http-cache-tests through sluice (TEST_ID= shows one of them)
	@scripts/deps.sh conformance
	@$(MAKE) --no-print-directory conformance-programs
	@SLUICE=$(OABS)/sluice exec node tests/conformance/run.mjs $(CONFORMANCE) $(TEST_ID)

# What people call ---------------------------------------------------------------------------------
# Those that may install packages build in a second make, which then finds what was installed.
.PHONY: deps demo test test-programs bench soak flash-sale lint format install clean help
DEPS ?= build test lint fuzz
deps: ## Install what is missing of the packages (DEPS="build demo test conformance lint fuzz bench flash-sale")
	@scripts/deps.sh $(DEPS)

# Where `become` is loaded the script takes the place of make; else it runs below it.
DEMO = exec env $(MAKEOVERRIDES) SLUICE=$(OABS)/sluice SLUICE_ORDERS=$(OABS)/sluice-orders SLUICE_ROOT=$(ROOT) scripts/demo.sh
demo: demo-programs ## Run sluice before three sluice-orders on 127.0.0.1:8080 (PORT=); Ctrl-C ends it
	@$(if $(findstring n,$(firstword -$(MAKEFLAGS))),,$(become $(DEMO)))$(DEMO)

.PHONY: demo-programs
demo-programs:
	@scripts/deps.sh demo
	@$(MAKE) --no-print-directory all

ifeq ($(MAKECMDGOALS),demo)
-load $(O)/become.so
$(O)/become.so: scripts/become.c
	@scripts/deps.sh demo
	@mkdir -p $(@D)
	@$(CC) -shared -fPIC -o $@ $<
endif

test-programs: $(PROGRAMS) $(UNIT_TESTS) $(E2E_TEST)
test: ## Install what is missing, build, run all tests
	@scripts/deps.sh test
	@$(MAKE) --no-print-directory test-programs
	@$(RUN_TESTS) $(UNIT_TESTS) $(E2E_TEST) -- $(TEST_ARGS)

bench: ## Measure against nginx, HAProxy and Varnish (bench/run)
	@scripts/deps.sh bench
	@$(MAKE) --no-print-directory all
	@BUILD=$(OABS) SLUICE=$(OABS)/sluice SLUICE_ORDERS=$(OABS)/sluice-orders SLUICE_ROOT=$(ROOT) exec bench/run

soak: ## Ten million distinct URLs through a small cache (bench/soak; SOAK_ARGS="--redis --urls 1000000")
	@scripts/deps.sh bench
	@$(MAKE) --no-print-directory all
	@BUILD=$(OABS) exec bench/soak $(SOAK_ARGS)

DB ?= sqlite
flash-sale: ## Sell exactly N while everything is killed (DB=postgres, SALE_ARGS="--units 800 --seed 7")
	@scripts/deps.sh flash-sale
	@$(MAKE) --no-print-directory all
	@BUILD=$(OABS) exec bench/flash-sale --db $(DB) $(SALE_ARGS)

lint: ## Check format, layers, sizes, words, and run clang-tidy
	@BUILD=$(O) TIDY_FLAGS='-std=c++20 $(ALL_CPPFLAGS)' scripts/lint.sh

format: ## Rewrite all sources, or FILES=, in the one format
	@scripts/format.sh --fix $(FILES)

# Fuzzing ------------------------------------------------------------------------------------------
include scripts/fuzz.mk

# Install ------------------------------------------------------------------------------------------
install: all ## Install programs, configuration and systemd unit (DESTDIR, PREFIX)
	@BUILD=$(O) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) SYSCONFDIR=$(SYSCONFDIR) scripts/install.sh

clean: ## Remove what was built
	rm -rf $(O)

help: ## Show this
	@echo 'Targets:'
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo 'Variables:'
	@sed -nE 's/^([A-Z_]+) *\?= ?(.*)#v (.*)/\1|\2|\3/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  %-14s      %s%s\n", $$1, $$3, $$2 == "" ? "" : " [" $$2 "]"}'
	@printf '  %-14s      %s\n' CXX 'the compiler, such as "ccache g++" [g++]'

OBJECTS := $(call objects,$(foreach m,$(MODULES),$(SRC_$(m)) $(TEST_SRC_$(m))) $(TEST_SRC_e2e) \
             src/server/main.cc src/orders/main.cc tests/unit/main.cc) \
           $(patsubst /usr/share/llhttp/%.c,$(O)/obj/llhttp/%.o,$(LLHTTP_SRC))
-include $(wildcard $(OBJECTS:.o=.d))
