# Fuzz targets: tests/fuzz/<name>.cc, each with libFuzzer over the pure modules. Included by the Makefile.

FUZZ_MODULES ?= base http
# And of modules that are not pure as a whole: the files that a target needs.
FUZZ_FILES   ?= $(wildcard $(addprefix src/cache/,body.cc entry.cc entry_codec.cc key.cc purge.cc s3_fifo.cc \
                  store_memory.cc store_shard.cc tags.cc vary.cc) src/redis/resp.cc)
FUZZ_MIN     ?= 90
# Files whose lines the replayed corpus must reach to FUZZ_MIN per cent.
FUZZ_COVER   ?= $(wildcard src/http/h1_parser.cc src/http/h1_framing.cc src/http/chunked.cc src/http/uri.cc \
                  src/http/cache_control.cc src/http/range.cc src/http/conditional.cc \
                  src/cache/entry_codec.cc src/redis/resp.cc)

FUZZERS    := $(patsubst tests/fuzz/%.cc,%,$(wildcard tests/fuzz/*.cc))
FUZZ_SRC   := $(foreach m,$(FUZZ_MODULES),$(SRC_$(m))) $(FUZZ_FILES)
FUZZ_LIBS  := $(BASE_LIBS)
FUZZ_FLAGS := -std=c++20 -O1 -g -fno-omit-frame-pointer -pthread -Wall -Wextra
FUZZ_SAN   := address,undefined -fno-sanitize-recover=all
# The same sources in two flavours: fuzz (sanitizers) and fuzz-cov (line coverage).
FLAVOUR_fuzz     := -fsanitize=fuzzer-no-link,$(FUZZ_SAN)
FLAVOUR_fuzz-cov := -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping

define fuzz_flavour
$(O)/$(1)/obj/%.o: %.cc $(O)/stamp/$(1) | need-packages
	$$(call say,FUZZ,$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CXX) $$(ALL_CPPFLAGS) -iquote . $$(FUZZ_FLAGS) $$(FLAVOUR_$(1)) -MMD -MP -c -o $$@ $$<

$(O)/$(1)/obj/llhttp/%.o: /usr/share/llhttp/%.c $(O)/stamp/$(1)
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CC) $$(LLHTTP_CFLAGS) -O1 -g -w $$(FLAVOUR_$(1)) -c -o $$@ $$<

$(O)/$(1)/%: $(O)/$(1)/obj/tests/fuzz/%.o $(patsubst %.cc,$(O)/$(1)/obj/%.o,$(FUZZ_SRC)) \
    $(patsubst /usr/share/llhttp/%.c,$(O)/$(1)/obj/llhttp/%.o,$(LLHTTP_SRC))
	$$(call say,LINK,$$@)
	$$(Q)$$(FUZZ_CXX) -pthread -Wl,--as-needed $$(subst fuzzer-no-link,fuzzer,$$(FLAVOUR_$(1))) -o $$@ $$^ $$(FUZZ_LIBS)

$(O)/stamp/$(1): FORCE
	$$(call write_stamp,$$(FUZZ_CXX) $$(ALL_CPPFLAGS) $$(FUZZ_FLAGS) $$(FLAVOUR_$(1)))

-include $(wildcard $(patsubst %.cc,$(O)/$(1)/obj/%.d,$(FUZZ_SRC) $(wildcard tests/fuzz/*.cc)))
endef
$(eval $(call fuzz_flavour,fuzz))
$(eval $(call fuzz_flavour,fuzz-cov))
.SECONDARY: $(foreach f,fuzz fuzz-cov,$(patsubst %.cc,$(O)/$(f)/obj/%.o,$(FUZZ_SRC) $(wildcard tests/fuzz/*.cc)) \
              $(patsubst /usr/share/llhttp/%.c,$(O)/$(f)/obj/llhttp/%.o,$(LLHTTP_SRC)))

.PHONY: fuzz fuzz-replay fuzz-coverage fuzz-programs $(FUZZERS:%=fuzz-run-%)
fuzz-programs: $(FUZZERS:%=$(O)/fuzz/%)

fuzz: $(FUZZERS:%=fuzz-run-%) ## Run each fuzz target for FUZZ_SECONDS (with -j2 two at a time)
	@echo "fuzz: $(words $(FUZZERS)) targets, $(FUZZ_SECONDS) s each, no crash"

$(FUZZERS:%=fuzz-run-%): fuzz-run-%: $(O)/fuzz/%
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh run $(O)/fuzz $*

fuzz-replay: fuzz-programs ## Run the fuzz targets over the seed corpus only
	@scripts/fuzz.sh replay $(O)/fuzz $(FUZZERS)

fuzz-coverage: $(FUZZERS:%=$(O)/fuzz-cov/%) ## Show which lines of the parsers the seed corpus reaches
	@FUZZ_MIN=$(FUZZ_MIN) FUZZ_COVER='$(FUZZ_COVER)' scripts/fuzz.sh coverage $(O)/fuzz-cov $(FUZZERS)
